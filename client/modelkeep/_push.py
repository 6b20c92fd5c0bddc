"""A push, step by step: find, hash, send, seal. Nothing is visible before the version is made."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelkeep._manifest import LocalFile, digest_of, hash_file, manifest_text, scan
from modelkeep._progress import Meter
from modelkeep._refs import OnProgress, PathLike
from modelkeep._upload import upload
from modelkeep._upload_stream import SMALL, Blob
from modelkeep._wire import Wire, is_break
from modelkeep._workers import STALL_SECONDS, in_threads
from modelkeep.errors import Error, FailedPreconditionError
from modelkeep.v1 import artifact_service_pb2 as pb

_FEW = 100  # blobs that are sent without asking whether they are there
_SEALS = 3  # attempts, in case bytes are collected in between


@dataclass(frozen=True, slots=True)
class Content:
    """What is pushed: files, their digests, and the manifest of them."""

    files: Sequence[LocalFile]
    digests: Sequence[str]
    manifest: bytes
    digest: str


def read(path: PathLike, tell: OnProgress | None) -> Content:
    """Find out what a file or folder holds; files are hashed in parallel."""
    files = scan(path)
    meter = Meter(tell, "hashing", sum(file.size for file in files), len(files))
    digests = in_threads(lambda file: hash_file(file, meter), files)
    meter.finish()
    paths = (file.path for file in files)
    manifest = manifest_text(zip(paths, digests, strict=True)).encode()
    return Content(files, digests, manifest, digest_of(manifest))


def send(wire: Wire, parent: str, content: Content, tell: OnProgress | None) -> None:
    """Send what is missing, and seal it."""
    for attempt in range(1, _SEALS + 1):
        blobs = _blobs(content)
        meter = Meter(tell, "uploading", sum(blob.size for blob in blobs), len(blobs))
        upload(wire, parent, blobs, meter, ask=attempt > 1 or not _fits_a_pack(blobs))
        meter.finish()
        try:
            meter = Meter(tell, "sealing", total_files=len(content.files))
            seal(wire, parent, content.digest, meter)
            return
        except FailedPreconditionError as error:
            if error.reason != "BLOBS_MISSING" or attempt == _SEALS:
                raise


def _blobs(content: Content) -> list[Blob]:
    """Give what is to be sent, each content once, the manifest last."""
    unique = {
        digest: Blob(digest, file.size, file)
        for file, digest in zip(content.files, content.digests, strict=True)
    }
    last = Blob(content.digest, len(content.manifest), data=content.manifest)
    return [*unique.values(), last]


def _fits_a_pack(blobs: Sequence[Blob]) -> bool:
    return len(blobs) <= _FEW and sum(blob.size for blob in blobs) < SMALL


def seal(wire: Wire, parent: str, digest: str, meter: Meter) -> None:
    """Have an uploaded manifest checked; after a break the server goes on where it was."""
    request = pb.SealManifestRequest(parent=parent, digest=digest)
    while True:
        try:
            for checked in _checked_files(wire, request):
                meter.add(files=checked)
            meter.finish()
            return
        except Error as error:
            delay = 0.5 if error.retry_after_seconds is None else error.retry_after_seconds
            waits = error.reason == "SEAL_IN_PROGRESS" or is_break(error)
            if not waits or meter.idle_seconds + delay > STALL_SECONDS:
                raise
            time.sleep(delay)


def _checked_files(wire: Wire, request: pb.SealManifestRequest) -> Iterator[int]:
    """Yield how many files more were checked, until the manifest is sealed."""
    before = 0
    for operation in wire.stream(wire.artifacts.SealManifest, request):
        metadata = pb.SealManifestMetadata()
        if operation.metadata.Unpack(metadata):
            yield metadata.checked_files - before
            before = metadata.checked_files
        if operation.done:
            return
