"""Sending large blobs to the blob store itself, past the server, where it gives links.

What was sent so is like a part that was left: the stream that follows begins at its end, and the
server looks at it. Whatever goes wrong, that stream begins at the start.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from modelkeep._progress import Meter
from modelkeep._stores import LINKED_BYTES, give_up, is_useful
from modelkeep._upload_stream import Blob
from modelkeep._wire import Wire
from modelkeep._workers import run_all
from modelkeep.errors import Error
from modelkeep.v1 import artifact_service_pb2 as pb

if TYPE_CHECKING:
    from modelkeep._http import Put

_AT_ONCE = 3
_MOST_BYTES = 1024**3  # a break costs all that was sent


class UploadLinks:
    """Links for what a push sends."""

    def __init__(self, wire: Wire, parent: str, meter: Meter) -> None:
        self._wire = wire
        self._parent = parent
        self._meter = meter
        self._lock = threading.Lock()
        self._puts: set[Put] = set()
        self._ended = False

    def send(self, blobs: Sequence[Blob]) -> None:
        """Send those that are worth it and of which nothing is there, each once."""
        worthy = deque(blob for blob in blobs if _is_worthy(blob))

        def work() -> None:
            while worthy and self._wire.upload_links and not self._ended:
                try:
                    blob = worthy.popleft()
                except IndexError:
                    return
                self._send(blob)

        run_all([work] * min(_AT_ONCE, len(worthy)), self._cancel, self._meter)

    def _cancel(self) -> None:
        with self._lock:
            self._ended = True
            for put in self._puts:
                put.cancel()

    def _send(self, blob: Blob) -> None:
        blob.linked = True
        link = self._link(blob)
        if link is None or not is_useful(link.url, encrypted=self._wire.encrypted):
            return
        try:
            self._put(blob, link)
        except (OSError, HTTPException) as problem:
            if isinstance(problem, HTTPError):
                problem.close()
            elif not self._ended:
                give_up(link.url)
            blob.note(0, False, self._meter)

    def _link(self, blob: Blob) -> pb.UploadLink | None:
        wanted = [pb.BlobToLink(digest=blob.digest, size=blob.size)]
        request = pb.CreateUploadLinksRequest(parent=self._parent, blobs=wanted)
        try:
            answer = self._wire.call(self._wire.artifacts.CreateUploadLinks, request)
        except Error as error:
            if error.reason == "LINKS_UNAVAILABLE":
                self._wire.upload_links = False
            return None
        return next((link for link in answer.links if link.digest == blob.digest), None)

    def _put(self, blob: Blob, link: pb.UploadLink) -> None:
        from modelkeep._http import Put

        put = Put(link.url)
        with self._lock:
            if self._ended:
                return
            self._puts.add(put)
        try:
            put.send(self._read(blob), blob.size, dict(link.headers))
        finally:
            with self._lock:
                self._puts.discard(put)

    def _read(self, blob: Blob) -> Iterator[bytes]:
        sent = 0
        for chunk in blob.read(0):
            yield chunk
            sent += len(chunk)
            blob.note(sent, False, self._meter)


def _is_worthy(blob: Blob) -> bool:
    fits = LINKED_BYTES <= blob.size <= _MOST_BYTES
    return fits and not (blob.durable or blob.linked or blob.anew or blob.complete)
