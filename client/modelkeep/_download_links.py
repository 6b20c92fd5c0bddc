"""Bytes of large files from the blob store itself, past the server, where it gives links.

This only saves the server work. What comes is checked like all that comes, and whatever goes
wrong, the server is asked for the rest: whoever reads gets less than they asked for, and no error.
"""

import threading
from collections.abc import Iterator
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from modelkeep._sinks import Want
from modelkeep._stores import LINKED_BYTES, give_up, is_useful
from modelkeep._wire import Wire
from modelkeep.errors import Error
from modelkeep.v1 import artifact_service_pb2 as pb

if TYPE_CHECKING:
    from modelkeep._http import Get

_FORBIDDEN = 403


class Links:
    """A version's files by links; `read` may run in many threads at once."""

    def __init__(self, wire: Wire, version: str) -> None:
        self._wire = wire
        self._version = version
        self._lock = threading.Lock()
        self._links: dict[str, pb.DownloadLink] = {}  # by path
        self._distrusted: set[str] = set()  # digests
        self._gets: set[Get] = set()
        self._ended = False

    def cancel(self) -> None:
        """End all reads under way."""
        with self._lock:
            self._ended = True
            for get in self._gets:
                get.cancel()

    def gave(self, want: Want) -> bool:
        """Tell whether bytes of a file may have come by a link."""
        return want.path in self._links

    def distrust(self, want: Want) -> None:
        """Take no more of a file by a link."""
        self._distrusted.add(want.digest)
        self._links.pop(want.path, None)

    def read(self, want: Want, offset: int, length: int) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, bytes) of a range, in order: all of it, its beginning, or nothing."""
        for is_new in (False, True):
            link = self._link(want, anew=is_new)
            if link is None:
                return
            try:
                yield from self._get(link, offset, length)
                return
            except HTTPError as refused:
                refused.close()
                if refused.code != _FORBIDDEN:
                    return
                if is_new:
                    give_up(link.url)

    def _link(self, want: Want, *, anew: bool) -> pb.DownloadLink | None:
        if want.size < LINKED_BYTES or want.digest in self._distrusted or not self._wire.links:
            return None
        link = self._links.get(want.path)
        if link is None or anew:
            link = self._ask(want)
        if link and is_useful(link.url, encrypted=self._wire.encrypted):
            return link
        return None

    def _ask(self, want: Want) -> pb.DownloadLink | None:
        request = pb.CreateDownloadLinksRequest(version=self._version, paths=[want.path])
        try:
            answer = self._wire.call(self._wire.artifacts.CreateDownloadLinks, request)
        except Error as error:
            if error.reason == "LINKS_UNAVAILABLE":
                self._wire.links = False
            return None
        for link in answer.links:
            if (link.path, link.digest, link.size) == (want.path, want.digest, want.size):
                self._links[want.path] = link
                return link
        return None

    def _get(self, link: pb.DownloadLink, offset: int, length: int) -> Iterator[tuple[int, bytes]]:
        from modelkeep._http import Get

        get, begin = Get(link.url), offset
        with self._lock:
            if self._ended:
                return
            self._gets.add(get)
        try:
            for data in get.read(offset, length, link.size):
                yield offset, data
                offset += len(data)
        except HTTPError:
            raise
        except (OSError, HTTPException):
            if offset == begin and not self._ended:
                give_up(link.url)
        finally:
            with self._lock:
                self._gets.discard(get)
