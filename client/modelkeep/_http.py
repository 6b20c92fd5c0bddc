"""A GET or PUT over HTTP, with an end to every wait; from any thread it can be cancelled.

Like all programs it takes the proxy that `http_proxy`, `https_proxy` and `no_proxy` name. It goes
nowhere else than it was told: a redirect is an answer like any other.
"""

import contextlib
import http.client
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from modelkeep._address import system_roots

_CONNECT_SECONDS = 3.0
_PARTIAL = 206
_PIECE = 1024 * 1024
_Opened = Callable[[socket.socket], None]


class _Connection(http.client.HTTPConnection):
    def __init__(self, *args: Any, opened: _Opened, **options: Any) -> None:
        super().__init__(*args, **options)
        self._opened = opened

    def connect(self) -> None:
        super().connect()
        self._opened(self.sock)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, opened: _Opened) -> None:
        super().__init__()
        self._opened = opened

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, opened=self._opened), request)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, opened: _Opened) -> None:
        super().__init__()
        self._opened = opened

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        kind = partial(_SecureConnection, opened=self._opened, context=_context())
        return self.do_open(kind, request)


class _Exchange:
    """One request and its answer."""

    wait_seconds: float

    def __init__(self, url: str) -> None:
        self._url = url
        self._sockets: list[socket.socket] = []
        self._ended = False

    def cancel(self) -> None:
        """End it now; what waits for bytes gets none."""
        self._ended = True
        for one in self._sockets:
            with contextlib.suppress(OSError):  # closed already
                one.shutdown(socket.SHUT_RDWR)

    def _open(self, method: str, headers: dict[str, str], data: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  # the opener has http and https alone
            self._url, data, headers | {"User-Agent": "modelkeep-python"}, method=method
        )
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _Plain(self._opened),
            _Secure(self._opened),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            opener.add_handler(handler)
        return opener.open(request, timeout=_CONNECT_SECONDS)

    def _opened(self, opened: socket.socket) -> None:
        opened.settimeout(self.wait_seconds)
        self._sockets.append(opened)
        if self._ended:  # while it connected
            self.cancel()


class Get(_Exchange):
    """A GET of a range; read it once."""

    wait_seconds = 10.0

    def read(self, offset: int, length: int, size: int) -> Iterator[bytes]:
        """Yield a range of what must have so many bytes; too few bytes where it breaks off.

        Raises `HTTPError` where it is refused, and `OSError` or `HTTPException` where something
        else comes, or nothing.
        """
        with self._open("GET", {"Range": f"bytes={offset}-{offset + length - 1}"}) as response:
            _check(response, offset, length, size)
            while length and (data := response.read(min(_PIECE, length))):
                length -= len(data)
                yield data


class Put(_Exchange):
    """A PUT; send it once."""

    wait_seconds = 30.0  # a store may have to sync all that came before it answers

    def send(self, data: Iterator[bytes], size: int, headers: dict[str, str]) -> None:
        """Send these bytes; raises `OSError` or `HTTPException` where they were not taken."""
        described = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        with self._open("PUT", headers | described, data) as response:
            response.read()


def _check(response: http.client.HTTPResponse, offset: int, length: int, size: int) -> None:
    """Refuse what is not the range: a page of some proxy, or a file of another size."""
    told = response.headers["Content-Range"]
    if response.status != _PARTIAL or told != f"bytes {offset}-{offset + length - 1}/{size}":
        raise http.client.HTTPException("not the range that was asked for")


@cache
def _context() -> ssl.SSLContext:
    roots = system_roots()
    return ssl.create_default_context(cadata=roots.decode() if roots else None)
