"""Packs: small blobs, whole, many to a message."""

import hashlib
from collections.abc import Sequence

from modelkeep.errors import InvalidArgumentError, UnavailableError
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore, Checksums
from modelkeep_server.domain import possession
from modelkeep_server.domain.possession import check_parent
from modelkeep_server.domain.uploads import digest_mismatch
from modelkeep_server.records import blobs
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.values.limits import MAX_CHUNK_BYTES
from modelkeep_server.values.stored_blob import StoredBlob


def store(records: Records, blob_store: BlobStore, pack: pb.BlobPack) -> list[pb.BlobProgress]:
    """Store a pack's blobs, all or none, and answer when they are durable."""
    session = records.read()
    check_parent(session, pack.parent)
    content = _checked(pack)
    held = possession.present(records, pack.parent, list(content))
    unknown = [
        digest for digest in content if digest not in held and not blobs.is_known(session, digest)
    ]
    put_us = now_us()
    keys = blob_store.put_many([content[digest] for digest in unknown]) if unknown else []
    stored = [
        StoredBlob(digest, key, len(content[digest]), _checksums(content[digest]))
        for digest, key in zip(unknown, keys, strict=True)
    ]
    others = [digest for digest in content if digest not in held and digest not in set(unknown)]
    if stored or others:
        superfluous, gone = records.bookkeep(
            lambda tx: _publish(tx, pack.parent, stored, others, put_us)
        )
        for key in superfluous:
            blob_store.remove(key)
        if gone:
            # Collected since they were seen to be here; their bytes are in our hands.
            return store(records, blob_store, pack)
    return [
        pb.BlobProgress(digest=digest, durable_size=len(data), complete=True)
        for digest, data in content.items()
    ]


def _checked(pack: pb.BlobPack) -> dict[str, bytes]:
    """Read a pack, and refuse it where a digest is wrong or it is too large."""
    content = {blob.digest: blob.data for blob in pack.blobs}
    check_chunk(sum(map(len, content.values())), "pack.blobs")
    for index, blob in enumerate(pack.blobs):
        actual = f"sha256:{hashlib.sha256(blob.data).hexdigest()}"
        if actual != blob.digest:
            raise digest_mismatch(blob.digest, actual, f"pack.blobs[{index}].digest")
    return content


def check_chunk(size: int, field: str) -> None:
    """Refuse more bytes in one message than a stream's bounded memory is made for."""
    if size > MAX_CHUNK_BYTES:
        raise InvalidArgumentError(
            "CHUNK_TOO_LARGE",
            f"a message brings at most {MAX_CHUNK_BYTES} bytes, not {size}",
            field=field,
            limit=MAX_CHUNK_BYTES,
            actual=size,
        )


def _publish(
    session: Session,
    parent: str,
    stored: Sequence[StoredBlob],
    others: Sequence[str],
    put_us: int,
) -> tuple[list[str], list[str]]:
    """Write the rows; answer the keys whose bytes came twice, and the digests that are gone."""
    now = now_us()
    if now - put_us >= blobs.GRACE_US:
        # Without a row for so long, they may have been collected.
        raise UnavailableError("STORAGE_BUSY", "storing the pack took too long; send it again")
    gone = blobs.hold(session, parent, others, now)
    return [blob.key for blob in stored if not blobs.add(session, parent, blob, now)], gone


def _checksums(data: bytes) -> bytes:
    checksums = Checksums()
    checksums.update(data)
    return checksums.digest()
