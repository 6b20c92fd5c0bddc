"""Fetching blobs: several streams, small ones many to a call, large ones in ranges.

What came stays when a stream breaks off; sixty seconds in which nothing comes end it. A blob
that another process is fetching is waited for.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelkeep._cache_blobs import LARGE
from modelkeep._cache_parts import RANGE_BYTES, Part
from modelkeep._download_links import Links
from modelkeep._download_stream import Download, FileRange
from modelkeep._manifest import digest_of
from modelkeep._progress import Meter
from modelkeep._sinks import Sink, Want
from modelkeep._wire import Wire
from modelkeep._workers import run_all
from modelkeep.errors import DataLossError

_STREAMS = 3
_PACK_FILES = 1000
_PACK_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Pack:
    """Job: fetch small blobs."""

    wants: Sequence[Want]


@dataclass(frozen=True, slots=True)
class _Whole:
    """Job: begin a large blob."""

    want: Want


@dataclass(frozen=True, slots=True)
class _Range:
    """Job: fetch a range of a large blob."""

    want: Want
    part: Part
    offset: int
    length: int


_Job = _Pack | _Whole | _Range


def fetch(wire: Wire, version: str, wants: Sequence[Want], sink: Sink, meter: Meter) -> None:
    """Bring these blobs of a version into a sink, each checked, or raise."""
    try:
        with wire.link(_STREAMS) as link:
            download, links = Download(link, version, meter), Links(wire, version)
            todo = list(wants)
            while todo:
                todo = _Fetch(download, links, sink, meter).run(todo)
                if todo:
                    time.sleep(_POLL_SECONDS)
                    todo = _still_missing(todo, sink, meter)
    finally:
        sink.close()


def _still_missing(wants: Sequence[Want], sink: Sink, meter: Meter) -> list[Want]:
    """Leave out what other processes brought meanwhile."""
    meter.add()  # they move, or lose their claims
    came = [want for want in wants if sink.came(want)]
    meter.add(sum(want.size for want in came), len(came))
    return [want for want in wants if want not in came]


class _Fetch:
    """One go at it, by several threads; leaves out what other processes are fetching."""

    def __init__(self, download: Download, links: Links, sink: Sink, meter: Meter) -> None:
        self._download = download
        self._links = links
        self._sink = sink
        self._meter = meter
        self._ready = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._opening = 0
        self._elsewhere: list[Want] = []
        self._left: dict[Part, int] = {}  # ranges still to come

    def run(self, wants: Sequence[Want]) -> list[Want]:
        """Fetch; gives what another process holds."""
        for want in wants:
            if want.size == 0:
                self._keep(want, b"")
            elif want.size >= LARGE:
                self._jobs.append(_Whole(want))
        self._jobs.extend(_packs([want for want in wants if 0 < want.size < LARGE]))
        ranges = sum(math.ceil(want.size / RANGE_BYTES) for want in wants if want.size >= LARGE)
        threads = min(_STREAMS, len(self._jobs) + ranges)
        try:
            run_all([self._work] * threads, self._cancel, self._meter)
        finally:
            for part in self._left:
                self._sink.leave(part)
        return self._elsewhere

    def _cancel(self) -> None:
        self._download.cancel()
        self._links.cancel()
        with self._ready:
            self._jobs.clear()
            self._ready.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if isinstance(job, _Pack):
                self._pack(job.wants)
            elif isinstance(job, _Range):
                self._range(job)
            else:
                try:
                    self._begin(job.want)
                finally:
                    with self._ready:
                        self._opening -= 1
                        self._ready.notify_all()

    def _next(self) -> _Job | None:
        with self._ready:
            while not self._jobs and self._opening:
                self._ready.wait()
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            self._opening += isinstance(job, _Whole)
            return job

    def _begin(self, want: Want) -> None:
        """Open a large blob, and add its missing ranges to what is to be done."""
        part = self._sink.begin(want)
        if part is None:
            self._elsewhere.append(want)
            return
        self._meter.add(part.received)
        self._add_ranges(want, part)

    def _add_ranges(self, want: Want, part: Part) -> None:
        ranges = [_Range(want, part, offset, length) for offset, length in part.missing()]
        with self._ready:
            self._left[part] = len(ranges)
            self._jobs.extendleft(reversed(ranges))
        if not ranges:
            self._finish(want, part)

    def _range(self, job: _Range) -> None:
        for offset, data in self._pieces(job):
            job.part.write(offset, data)
            self._meter.add(len(data))
        with self._ready:
            self._left[job.part] -= 1
            last = not self._left[job.part]
        if last:
            self._finish(job.want, job.part)

    def _pieces(self, job: _Range) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, bytes): from the store as far as that goes, and from the server."""
        came = 0
        for offset, data in self._links.read(job.want, job.offset, job.length):
            yield offset, data
            came += len(data)
        if came < job.length:
            rest = FileRange(job.want.path, job.offset + came, job.length - came)
            for _, offset, data in self._download.read([rest]):
                yield offset, data

    def _finish(self, want: Want, part: Part) -> None:
        with self._meter.working():
            right = part.finish()
            if right:
                del self._left[part]
                self._sink.finish(want, part)
        if right:
            self._meter.add(files=1)
        elif part.resumed or self._links.gave(want):
            # Perhaps it was what lay here that was wrong, or the store's: the server would know.
            self._links.distrust(want)
            part.restart()
            self._meter.add(-want.size)
            self._add_ranges(want, part)
        else:
            part.restart()
            raise _damaged(want)

    def _pack(self, wants: Sequence[Want]) -> None:
        wanted = [FileRange(want.path, 0, want.size) for want in wants]
        buffers = [bytearray() for _ in wants]
        for index, _, data in self._download.read(wanted):
            buffers[index] += data
            if len(buffers[index]) == wants[index].size:
                self._keep(wants[index], bytes(buffers[index]))
                buffers[index] = bytearray()

    def _keep(self, want: Want, data: bytes) -> None:
        if digest_of(data) != want.digest:
            raise _damaged(want)
        self._sink.add(want, data)
        self._meter.add(len(data), 1)


def _packs(wants: Sequence[Want]) -> Iterator[_Pack]:
    pack: list[Want] = []
    size = 0
    for want in wants:
        if pack and (size + want.size > _PACK_BYTES or len(pack) == _PACK_FILES):
            yield _Pack(pack)
            pack, size = [], 0
        pack.append(want)
        size += want.size
    if pack:
        yield _Pack(pack)


def _damaged(want: Want) -> DataLossError:
    return DataLossError(
        "BLOB_DAMAGED",
        f"the registry sent other bytes than {want.digest} for {want.path}",
        digest=want.digest,
        path=want.path,
    )
