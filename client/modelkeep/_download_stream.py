"""Ranges of a version's files, read to their end across breaks."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modelkeep._progress import Meter
from modelkeep._wire import Link, Stream, is_break
from modelkeep._workers import STALL_SECONDS, backoff
from modelkeep.errors import CancelledError, DataLossError, Error, UnavailableError
from modelkeep.v1 import artifact_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class FileRange:
    """So many bytes of a file of the version, from an offset."""

    path: str
    offset: int
    length: int


class Download:
    """A version's bytes; `read` may run in many threads at once."""

    def __init__(self, link: Link, version: str, meter: Meter) -> None:
        self._link = link
        self._version = version
        self._meter = meter
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._streams: set[Stream[pb.DownloadFilesResponse]] = set()

    def cancel(self) -> None:
        """End all reads under way."""
        self._ended.set()
        with self._lock:
            for stream in self._streams:
                stream.cancel()

    def read(self, ranges: Sequence[FileRange]) -> Iterator[tuple[int, int, bytes]]:
        """Yield (which range, offset in its file, bytes) until every range is whole."""
        left = dict(enumerate(ranges))  # what is still to come of each
        failures = 0
        while left:
            asked = list(left)
            try:
                for index, offset, data in self._once([left[which] for which in asked]):
                    which, failures = asked[index], 0
                    rest = left.get(which)
                    if rest is None or offset != rest.offset or len(data) > rest.length:
                        raise DataLossError("BLOB_DAMAGED", "the registry sent other ranges")
                    if len(data) == rest.length:
                        del left[which]
                    else:
                        left[which] = replace(
                            rest, offset=offset + len(data), length=rest.length - len(data)
                        )
                    yield which, offset, data
                problem: Error = UnavailableError("UNAVAILABLE", "the download ended early")
            except Error as error:
                if not is_break(error) or self._ended.is_set():
                    raise
                problem = error
            if left:
                failures += 1
                self._pause(problem, failures)

    def _once(self, ranges: Sequence[FileRange]) -> Iterator[tuple[int, int, bytes]]:
        request = pb.DownloadFilesRequest(
            version=self._version,
            ranges=[
                pb.FileRange(path=item.path, offset=item.offset, length=item.length)
                for item in ranges
            ],
        )
        stream = self._link.stream(self._link.artifacts.DownloadFiles, request)
        with self._lock:
            self._streams.add(stream)
        try:
            if self._ended.is_set():
                raise CancelledError("CANCELLED", "the transfer was given up")
            for message in stream:
                for chunk in message.chunks:
                    yield chunk.range_index, chunk.offset, chunk.data
        finally:
            with self._lock:
                self._streams.discard(stream)
            stream.cancel()

    def _pause(self, problem: Error, failures: int) -> None:
        delay = backoff(failures)
        delay = max(delay, problem.retry_after_seconds or 0)
        if self._meter.idle_seconds + delay > STALL_SECONDS:
            raise problem
        self._ended.wait(delay)
