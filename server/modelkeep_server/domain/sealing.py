"""Sealing: a manifest is checked once, in batches, so that making a version is constant work.

* A manifest is sealed under a parent when its form is right and every blob that it names was
  sent to that parent.
* Each batch checks presence and writes its references in one transaction; they count from then
  on. A seal that was left is gone on with.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from google.longrunning.operations_pb2 import Operation

from modelkeep.errors import AbortedError, FailedPreconditionError, InvalidArgumentError
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore, read_checked
from modelkeep_server.domain import manifest_text, possession
from modelkeep_server.domain.manifest_text import Line
from modelkeep_server.domain.possession import check_parent
from modelkeep_server.records import blobs, sealing
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.records import Records
from modelkeep_server.records.sealing import Seal
from modelkeep_server.records.sql import Session
from modelkeep_server.values.limits import MAX_FILES, MAX_MANIFEST_BYTES
from modelkeep_server.values.stored_blob import StoredBlob

BATCH = 1_000
_SHOWN = 20
OPERATION_PREFIX = "operations/"


def seal(records: Records, store: BlobStore, parent: str, digest: str) -> Iterator[Operation]:
    """Seal a manifest, and answer how far that is."""
    session = records.read()
    check_parent(session, parent)
    # Its text keeps a manifest that no version has yet, so this is asked first.
    is_here = possession.present(records, parent, [digest])
    found = sealing.find(session, parent, digest) if is_here else None
    if found is not None and found.sealed:
        yield operation(found)
        return
    manifest = _manifest(session, parent, digest)
    count = _check(session, store, manifest, parent)
    current = records.bookkeep(lambda tx: _begin(tx, parent, digest, count))
    if current.sealed:
        # Another call was faster.
        yield operation(current)
    lines = islice(_lines(store, manifest), current.checked_files, None)
    try:
        while not current.sealed:
            current = records.bookkeep(
                partial(_advance, seal=current, batch=list(islice(lines, BATCH)))
            )
            yield operation(current)
    finally:
        # Whoever asks again after a break need not wait for the lease to end.
        if not current.sealed:
            records.bookkeep(partial(sealing.free, seal=current))


def operation(seal: Seal) -> Operation:
    """Describe a seal as an operation."""
    answer = Operation(name=f"{OPERATION_PREFIX}{seal.operation}", done=seal.sealed)
    answer.metadata.Pack(
        pb.SealManifestMetadata(
            parent=seal.scope,
            digest=seal.digest,
            checked_files=seal.checked_files,
            file_count=seal.file_count,
        )
    )
    if seal.sealed:
        answer.response.Pack(
            pb.SealManifestResponse(digest=seal.digest, file_count=seal.file_count, size=seal.size)
        )
    return answer


def _manifest(session: Session, parent: str, digest: str) -> StoredBlob:
    manifest = blobs.find_held(session, parent, digest)
    if manifest is None:
        raise _missing([digest], "the manifest itself was not sent here")
    if manifest.size > MAX_MANIFEST_BYTES:
        raise _too_large(MAX_MANIFEST_BYTES, manifest.size, "bytes")
    return manifest


def _lines(store: BlobStore, manifest: StoredBlob) -> Iterator[Line]:
    return manifest_text.read(read_checked(store, manifest, 0, manifest.size))


def _check(session: Session, store: BlobStore, manifest: StoredBlob, parent: str) -> int:
    """Check a manifest whole before anything is written, and count its files."""
    missing: dict[str, None] = {}
    lines = _lines(store, manifest)
    count = 0
    while batch := list(islice(lines, BATCH)):
        count += len(batch)
        if count > MAX_FILES:
            raise _too_large(MAX_FILES, count, "files")
        held = blobs.held(session, parent, [line.digest for line in batch])
        missing |= dict.fromkeys(line.digest for line in batch if line.digest not in held)
    if missing:
        raise _missing(list(missing), "not all of its files were sent here")
    return count


def _begin(session: Session, parent: str, digest: str, count: int) -> Seal:
    now = now_us()
    found = sealing.find(session, parent, digest)
    if not blobs.is_known(session, digest):
        raise _missing([digest], "the manifest itself is not here any more")
    if found is None:
        return sealing.begin(session, parent, digest, count, now + sealing.LEASE_US)
    # One that would last much longer than any was given by a clock that has been set back since.
    if now < found.lease_us <= now + 2 * sealing.LEASE_US and not found.sealed:
        raise AbortedError(
            "SEAL_IN_PROGRESS",
            f"another call is sealing {digest}; ask again when it is done",
            retry_after_seconds=(found.lease_us - now) / 1e6,
            digest=digest,
        )
    return found if found.sealed else sealing.take(session, found, now + sealing.LEASE_US)


def _advance(session: Session, seal: Seal, batch: list[Line]) -> Seal:
    held = blobs.held(session, seal.scope, [line.digest for line in batch])
    missing = [line.digest for line in batch if line.digest not in held]
    if missing:
        raise _missing(missing, "not all of its files are here any more")
    files = [(line.path, held[line.digest].id) for line in batch]
    size = sum(held[line.digest].size for line in batch)
    advanced = sealing.advance(session, seal, files, size, now_us() + sealing.LEASE_US)
    if advanced is None:
        raise AbortedError(
            "SEAL_IN_PROGRESS",
            f"another call went on with sealing {seal.digest} after a silence",
            retry_after_seconds=sealing.LEASE_US / 1e6,
            digest=seal.digest,
        )
    return advanced


def _missing(digests: list[str], why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        "BLOBS_MISSING",
        f"{why}: {len(digests)} missing; upload them, then seal again",
        field="digest",
        digests=",".join(digests[:_SHOWN]),
        count=len(digests),
    )


def _too_large(limit: int, actual: int, unit: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "MANIFEST_TOO_LARGE",
        f"a manifest has at most {limit} {unit}, this one has {actual} or more",
        field="digest",
        limit=limit,
        actual=actual,
    )
