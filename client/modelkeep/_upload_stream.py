"""One stream of `UploadBlobs`: it takes work from a queue until that is empty."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelkeep._manifest import LocalFile
from modelkeep._progress import Meter
from modelkeep._wire import Link, Stream
from modelkeep.errors import Error, UnavailableError
from modelkeep.v1 import artifact_service_pb2 as pb

CHUNK = 1024 * 1024  # what a message may carry, as a chunk or as a pack
SMALL = CHUNK // 2  # smaller blobs are packed
_PACK_BLOBS = 1000


@dataclass(slots=True, eq=False)
class Blob:
    """Bytes to be sent, and how far they are: a file's, or `data`."""

    digest: str
    size: int
    file: LocalFile | None = None
    data: bytes = b""
    durable: int = 0
    complete: bool = False
    resumed: bool = False  # the last time it was sent, not from its start
    anew: bool = False  # send it from its start the next time, whatever is there
    wrong: bool = False  # it came out wrong once
    linked: bool = False  # it was sent by a link once, or there was none

    def note(self, durable: int, complete: bool, meter: Meter) -> None:
        """Note what the server says it has."""
        meter.add(durable - self.durable, int(complete and not self.complete))
        self.durable, self.complete = durable, complete

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on in chunks; raises if the file was changed."""
        if self.file is None:
            for start in range(offset, self.size, CHUNK):
                yield self.data[start : start + CHUNK]
            return
        descriptor = self.file.open()
        try:
            while offset < self.size:
                chunk = os.pread(descriptor, min(CHUNK, self.size - offset), offset)
                if not chunk:
                    raise self.file.changed()
                yield chunk
                offset += len(chunk)
            self.file.check(descriptor)
        finally:
            os.close(descriptor)


class Queue:
    """Work for several streams: large blobs one by one, small ones in packs."""

    def __init__(self, blobs: Iterable[Blob]) -> None:
        todo = list(blobs)
        packs = _packs(blob for blob in todo if blob.size < SMALL)
        self._units = deque([[blob] for blob in todo if blob.size >= SMALL] + list(packs))

    def __len__(self) -> int:
        return len(self._units)

    def take(self) -> list[Blob]:
        """Give what to send next, or nothing."""
        try:
            return self._units.popleft()  # needs no lock
        except IndexError:
            return []


def _packs(blobs: Iterable[Blob]) -> Iterator[list[Blob]]:
    pack: list[Blob] = []
    size = 0
    for blob in blobs:
        if pack and (size + blob.size > CHUNK or len(pack) == _PACK_BLOBS):
            yield pack
            pack, size = [], 0
        pack.append(blob)
        size += blob.size
    if pack:
        yield pack


class UploadStream:
    """Sends what it takes from a queue, and notes what the server says is durable."""

    def __init__(self, link: Link, parent: str, queue: Queue, meter: Meter) -> None:
        self._parent = parent
        self._queue = queue
        self._meter = meter
        self._mine: dict[str, Blob] = {}
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._stream: Stream[pb.UploadBlobsResponse] = link.stream(
            link.artifacts.UploadBlobs, self._requests()
        )

    def run(self) -> Error | None:
        """Send until the queue is empty; give the error that ended the stream, if one did."""
        try:
            for answer in self._stream:
                for item in answer.blobs:
                    if blob := self._mine.get(item.digest):
                        durable = blob.size if item.complete else item.durable_size
                        blob.note(durable, item.complete or blob.complete, self._meter)
        except Error as error:
            if self._failure is not None:
                raise self._failure from None
            return error
        finally:
            self._ended.set()
        if all(blob.complete for blob in self._mine.values()):
            return None
        return UnavailableError("UNAVAILABLE", "the server ended an upload before it was whole")

    def cancel(self) -> None:
        """End it."""
        self._ended.set()
        self._stream.cancel()

    def _requests(self) -> Iterator[pb.UploadBlobsRequest]:
        """Run in gRPC's thread, which would only log what is raised here."""
        try:
            while (unit := self._queue.take()) and not self._ended.is_set():
                for blob in unit:
                    self._mine[blob.digest] = blob
                yield from self._large(unit[0]) if unit[0].size >= SMALL else self._pack(unit)
        except GeneratorExit:  # the stream is over
            raise
        except BaseException as failure:
            self._failure = failure
            self._stream.cancel()

    def _large(self, blob: Blob) -> Iterator[pb.UploadBlobsRequest]:
        offset = 0 if blob.anew else blob.durable
        blob.resumed, blob.anew = offset > 0, False
        yield pb.UploadBlobsRequest(
            header=pb.UploadHeader(
                parent=self._parent, digest=blob.digest, size=blob.size, offset=offset
            )
        )
        for chunk in blob.read(offset):
            yield pb.UploadBlobsRequest(chunk=chunk)

    def _pack(self, blobs: list[Blob]) -> Iterator[pb.UploadBlobsRequest]:
        packed = [pb.PackedBlob(digest=blob.digest, data=b"".join(blob.read(0))) for blob in blobs]
        yield pb.UploadBlobsRequest(pack=pb.BlobPack(parent=self._parent, blobs=packed))
