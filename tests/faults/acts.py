"""What a registry is asked to do while its server is killed: each write, uploads and a seal.

An act can be tried again as it is. It notes what was acknowledged, and says after a crash whether
that is there, and nothing is there by half; and after it was tried again, that it happened once.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.longrunning.operations_pb2 import Operation
from tests.collecting import begin, finished, purge
from tests.faults.state import comparable, content, state
from tests.rounds import check_kept
from tests.services.wire import MIB, Registry, chunks, digest, header, manifest, pack, refused
from tests.services.writes import WRITES, Write, fill, writes

from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1.admin_service_pb2 import CollectGarbageMetadata
from modelkeep.v1.operation_service_pb2 import ListOperationsRequest

_RANDOM = random.Random(6)
PACKED = [_RANDOM.randbytes(1000 + n) for n in range(5)]
FILES: dict[str, bytes] = {f"{n:02}": _RANDOM.randbytes(100) for n in range(10)}


@dataclass(frozen=True)
class Large:
    """Blobs so large that they come in chunks.

    Attributes:
        chunk: How many bytes come at once.
        whole: One that is sent by an act.
        resumed: One that an act goes on with.
        before: How much of that was sent before, all of it durable.
    """

    chunk: int
    whole: bytes
    resumed: bytes
    before: int

    @staticmethod
    def of(chunk: int, count: int, before: int) -> "Large":
        """Make blobs of so many chunks, of which so many were sent before."""
        whole, resumed = (_RANDOM.randbytes(chunk * count) for _ in range(2))
        return Large(chunk, whole, resumed, chunk * before)


IN_FILES = Large.of(64 * 1024, 16, 9)
IN_PIECES = Large.of(MIB, 11, 5)
"""For a store that keeps whole pieces of 5 MiB."""


class Act(Protocol):
    """Something to be done, once; `acknowledged` is how much of it was."""

    acknowledged: int

    def run(self, r: Registry) -> None:
        """Do it, or go on with it."""

    def check_after_crash(self, r: Registry) -> None:
        """Hold what is there to what was acknowledged (`LostError`); it is whole or absent."""

    def check_done(self, r: Registry) -> None:
        """Hold what is there to what the act was, once."""


_DROPPED: dict[str, bytes] = {f"{n}": _RANDOM.randbytes(200 + n) for n in range(7)}
_KEPT: dict[str, bytes] = {"0": _DROPPED["0"], "kept": b"kept"}


ACTS = (
    "upload a large blob",
    "go on with an upload",
    "upload a pack",
    "seal",
    "collect garbage",
    *WRITES,
)


def prepare_garbage(r: Registry) -> None:
    """Make what is to be collected, once its grace time is over."""
    r.create("dropped", _DROPPED)
    r.create("dropped", _DROPPED | {"more": b"more"})
    r.create("dropped", _KEPT)
    r.push_blobs(b"used by nobody")
    purge(r, 1, "dropped")
    purge(r, 2, "dropped")


def prepare(r: Registry, large: Large) -> None:
    """Make what the acts need."""
    fill(r)
    r.push_blobs(*FILES.values(), manifest(FILES))
    name = digest(large.resumed)
    begin = header(r.name, name, len(large.resumed))
    with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
        r.upload([begin, *chunks(large.resumed[: large.before], large.chunk)])
    assert r.missing(name) == {name: large.before}


def act_of(what: str, r: Registry, before: list[Any], large: Large) -> Act:
    """Give an act, on a namespace that was prepared and answers `before`."""
    others: dict[str, Act] = {
        "upload a large blob": LargeUpload(large.whole, large.chunk, before),
        "go on with an upload": LargeUpload(large.resumed, large.chunk, before),
        "upload a pack": PackUpload(PACKED, before),
        "seal": Sealing(FILES, before),
        "collect garbage": Collecting(before),
    }
    return others.get(what) or UnaryWrite(writes(r)[what], before)


@dataclass
class UnaryWrite:
    """A call with a `request_id`: what it came to where nothing was killed is in `after`."""

    write: Write
    before: list[Any]
    after: list[Any] = field(default_factory=list)
    answer: Any = None
    acknowledged: int = 0

    def run(self, r: Registry) -> None:
        answer = comparable(self.write.on(r)(self.write.request, metadata=r.metadata))
        assert self.answer in (None, answer)
        self.answer = answer
        self.acknowledged = 1

    def check_after_crash(self, r: Registry) -> None:
        found = state(r)
        check_kept(found != self.before or not self.acknowledged, "an acknowledged write")
        assert found in (self.before, self.after)

    def check_done(self, r: Registry) -> None:
        self.after = self.after or state(r)
        assert self.after != self.before
        assert state(r) == self.after


@dataclass
class LargeUpload:
    """A blob sent in chunks, from what is durable on."""

    data: bytes
    chunk: int
    before: list[Any]
    acknowledged: int = 0

    def run(self, r: Registry) -> None:
        name = digest(self.data)
        offset = r.missing(name).get(name, len(self.data))
        if offset == len(self.data):
            return
        begin = header(r.name, name, len(self.data), offset)
        for progress in _progress(r, begin, *chunks(self.data[offset:], self.chunk)):
            self.acknowledged = max(self.acknowledged, progress.durable_size)

    def check_after_crash(self, r: Registry) -> None:
        name = digest(self.data)
        durable = r.missing(name).get(name, len(self.data))
        check_kept(durable >= self.acknowledged, f"{self.acknowledged - durable} durable bytes")
        assert state(r) == self.before

    def check_done(self, r: Registry) -> None:
        _check_usable(r, {"f": self.data})


@dataclass
class PackUpload:
    """Small blobs in one message."""

    blobs: list[bytes]
    before: list[Any]
    acknowledged: int = 0

    def run(self, r: Registry) -> None:
        for progress in _progress(r, pack(r.name, *self.blobs)):
            self.acknowledged = int(progress.complete)

    def check_after_crash(self, r: Registry) -> None:
        missing = r.missing(*map(digest, self.blobs))
        check_kept(not missing or not self.acknowledged, f"{len(missing)} complete blobs")
        assert len(missing) in (0, len(self.blobs))
        assert state(r) == self.before

    def check_done(self, r: Registry) -> None:
        _check_usable(r, {str(n): blob for n, blob in enumerate(self.blobs)})


@dataclass
class Sealing:
    """A manifest sealed in several batches."""

    files: dict[str, bytes]
    before: list[Any]
    acknowledged: int = 0

    def run(self, r: Registry) -> None:
        request = artifacts.SealManifestRequest(parent=r.name, digest=digest(manifest(self.files)))
        for operation in r.artifacts.SealManifest(request, metadata=r.metadata):
            self.acknowledged = _seal(operation).checked_files

    def check_after_crash(self, r: Registry) -> None:
        seals = map(_seal, r.operations.ListOperations(ListOperationsRequest()).operations)
        name = digest(manifest(self.files))
        checked = [seal.checked_files for seal in seals if seal.digest == name]
        check_kept(sum(checked) >= self.acknowledged, "files that were checked")
        assert state(r) == self.before

    def check_done(self, r: Registry) -> None:
        _check_usable(r, self.files)


@dataclass
class Collecting:
    """A collection; one that its server's death cut off is gone on with by the next."""

    before: list[Any]
    acknowledged: int = 0

    def run(self, r: Registry) -> None:
        operation = begin(r)
        self.acknowledged = 1
        finished(r, operation)

    def check_after_crash(self, r: Registry) -> None:
        listed = r.operations.ListOperations(ListOperationsRequest()).operations
        asked = [one for one in listed if one.metadata.Is(CollectGarbageMetadata.DESCRIPTOR)]
        check_kept(asked or not self.acknowledged, "a collection")
        for operation in asked:
            assert finished(r, operation).HasField("response")
            self.check_done(r)
        self._check_kept(r)

    def check_done(self, r: Registry) -> None:
        gone = {digest(data) for data in _DROPPED.values()} - {digest(_DROPPED["0"])}
        gone |= {digest(b"more"), digest(b"used by nobody"), digest(manifest(_DROPPED))}
        assert set(r.missing(*gone)) == gone
        self._check_kept(r)

    def _check_kept(self, r: Registry) -> None:
        found = [one for one in state(r) if not _is_start(one)]
        check_kept(found == self.before, "what was not to be collected")


def _is_start(answer: Any) -> bool:
    return bool(answer.get("record", {}).get("act") == "collection.started")


def _seal(operation: Operation) -> artifacts.SealManifestMetadata:
    seal = artifacts.SealManifestMetadata()
    operation.metadata.Unpack(seal)
    return seal


def _progress(
    r: Registry, *requests: artifacts.UploadBlobsRequest
) -> Iterator[artifacts.BlobProgress]:
    """Send messages, and yield what is said before the stream ends or breaks."""
    for response in r.artifacts.UploadBlobs(iter(requests), timeout=60, metadata=r.metadata):
        yield from response.blobs


def _check_usable(r: Registry, files: dict[str, bytes]) -> None:
    """Make a version of bytes that were acknowledged, and take it back."""
    made = r.create("used", files)
    assert made.number == 1
    assert content(r, made.name) == {path: digest(data) for path, data in files.items()}
