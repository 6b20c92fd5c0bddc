"""Stores that do not do what they should: each answers in its own wrong way."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler, int, int], None]
"""Answers the range from one byte to before another."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that none outlives it

    def handle_error(self, *_: object) -> None:
        """Bear with clients that go."""


@contextmanager
def lying(answer: Answer, size: int, put: Answer | None = None) -> Iterator[str]:
    """Serve at the address that is given, as if each file had so many bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            answer(self, int(first), int(last) + 1)

        def do_HEAD(self) -> None:
            an_error(404)(self, 0, 0)

        def do_POST(self) -> None:
            begun = b"<Begun><UploadId>one</UploadId></Begun>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(begun)))
            self.end_headers()
            self.wfile.write(begun)

        def do_DELETE(self) -> None:
            an_error(204)(self, 0, 0)

        def do_PUT(self) -> None:
            assert put is not None
            put(self, 0, int(self.headers["Content-Length"]))

        def log_message(self, *_: object) -> None:
            pass

        def promise(self, begin: int, end: int) -> None:
            self.send_response(206)
            self.send_header("Content-Length", str(end - begin))
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.end_headers()

    with _Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _promise(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
    handler.promise(begin, end)  # type: ignore[attr-defined]  # of `lying`


def wrong_bytes(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
    """Send as many bytes as asked for, and none of them right."""
    _promise(handler, begin, end)
    handler.wfile.write(bytes(end - begin))


def too_few_bytes(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
    """Hang up in the middle."""
    _promise(handler, begin, end)
    handler.wfile.write(bytes((end - begin) // 2))


def another_range(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
    """Send the range after that."""
    _promise(handler, begin + 1, end + 1)
    handler.wfile.write(bytes(end - begin))


def all_of_it(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
    """Pay no heed to the range."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(end - begin))
    handler.end_headers()
    handler.wfile.write(bytes(end - begin))


def another_place(handler: BaseHTTPRequestHandler, _begin: int, _end: int) -> None:
    """Send away."""
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/passwd")
    handler.end_headers()


def an_error(code: int) -> Answer:
    """Refuse."""

    def answer(handler: BaseHTTPRequestHandler, _begin: int, _end: int) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def no_http(handler: BaseHTTPRequestHandler, _begin: int, _end: int) -> None:
    """Say something that is not HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")


def hung_up(handler: BaseHTTPRequestHandler, _begin: int, _end: int) -> None:
    """Say nothing."""


def taken(handler: BaseHTTPRequestHandler, _begin: int, end: int) -> None:
    """Say that all is well, and keep nothing."""
    handler.rfile.read(end)
    an_error(200)(handler, 0, 0)


def half_taken(handler: BaseHTTPRequestHandler, _begin: int, end: int) -> None:
    """Hang up in the middle."""
    handler.rfile.read(end // 2)


def refusing(code: str) -> Answer:
    """Refuse as S3 does."""

    def answer(handler: BaseHTTPRequestHandler, _begin: int, _end: int) -> None:
        said = f"<Error><Code>{code}</Code></Error>".encode()
        handler.send_response(400)
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    return answer


def refusing_others(refuse: Answer) -> Answer:
    """Take the bytes that were announced, and refuse others in some way."""

    def answer(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
        sha256 = hashlib.sha256(handler.rfile.read(end)).digest()
        is_right = handler.headers["x-amz-checksum-sha256"] == base64.b64encode(sha256).decode()
        (an_error(200) if is_right else refuse)(handler, begin, end)

    return answer


PUTS = {answer.__name__: answer for answer in (taken, half_taken, hung_up, no_http)} | {
    f"http_{code}": an_error(code) for code in (302, 400, 403, 500, 503)
}
ALL = {
    answer.__name__: answer
    for answer in (
        wrong_bytes,
        too_few_bytes,
        another_range,
        all_of_it,
        another_place,
        no_http,
        hung_up,
    )
} | {f"http_{code}": an_error(code) for code in (403, 404, 500, 503)}
