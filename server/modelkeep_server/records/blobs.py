"""Blobs: which bytes are here, and whose they are. A row is what publishes a blob."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from peewee import Query

from modelkeep_server.records.encode import digest_bytes, digest_text
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import Blob, BlobHolder, ManifestFile, Scope
from modelkeep_server.values.stored_blob import StoredBlob

GRACE_US = 24 * 3600 * 1_000_000
"""How long bytes that nothing refers to are kept, in microseconds."""

_MOST_VALUES = 500

_SCOPE = Statement(lambda: Scope.select(Scope.id).where(Scope.name == bind("name")))
_ADD_SCOPE = Statement(lambda: Scope.insert(name=bind("name")))
_COLUMNS = (Blob.digest, Blob.key, Blob.size, Blob.checksums)
_HELD = Statement(
    lambda: (
        Blob.select(*_COLUMNS)
        .join(BlobHolder, on=(BlobHolder.blob == Blob.id))
        .join(Scope, on=(Scope.id == BlobHolder.scope))
        .where((Scope.name == bind("scope")) & (Blob.digest == bind("digest")))
    )
)
_HELD_ROW = Statement(
    lambda: (
        Blob.select(Blob.id, Blob.size, Blob.grace_us)
        .join(BlobHolder, on=(BlobHolder.blob == Blob.id))
        .join(Scope, on=(Scope.id == BlobHolder.scope))
        .where((Scope.name == bind("scope")) & (Blob.digest == bind("digest")))
    )
)
_ID = Statement(lambda: Blob.select(Blob.id).where(Blob.digest == bind("digest")))
_ANY = Statement(lambda: Blob.select(Blob.key).limit(1))
_ADD = Statement(
    lambda: Blob.insert(
        digest=bind("digest"),
        size=bind("size"),
        key=bind("key"),
        checksums=bind("checksums"),
        created_us=bind("now_us"),
        grace_us=bind("grace_us"),
    )
)
_HOLD = Statement(
    lambda: BlobHolder.insert(scope=bind("scope"), blob=bind("blob")).on_conflict_ignore()
)
_RENEW = Statement(
    lambda: Blob.update(grace_us=bind("grace_us")).where(Blob.digest == bind("digest"))
)
_OF_FILE = Statement(
    lambda: (
        Blob.select(*_COLUMNS)
        .join(ManifestFile, on=(ManifestFile.blob == Blob.id))
        .where((ManifestFile.manifest == bind("manifest")) & (ManifestFile.path == bind("path")))
    )
)


@dataclass(frozen=True, slots=True)
class HeldBlob:
    """A blob of a scope: its row, its size in bytes and until when it is safe from collection."""

    id: int
    size: int
    grace_us: int


def scope_id(session: Session, name: str) -> int:
    """Answer the row of a namespace or asset that blobs are sent to, making it where it is new."""
    row = session.row(_SCOPE, name=name)
    return row[0] if row else session.insert(_ADD_SCOPE, name=name)


def find_held(session: Session, scope: str, digest: str) -> StoredBlob | None:
    """Find a blob that was sent to this scope."""
    return _stored(session.row(_HELD, scope=scope, digest=digest_bytes(digest)))


def has_any(session: Session) -> bool:
    """Tell whether any blob was ever stored."""
    return any_key(session) is not None


def any_key(session: Session) -> str | None:
    """Give the key of some blob, if there are blobs."""
    row = session.row(_ANY)
    return str(row[0]) if row else None


def of_file(session: Session, manifest_id: int, path: str) -> StoredBlob | None:
    """Find the blob of a manifest's file."""
    return _stored(session.row(_OF_FILE, manifest=manifest_id, path=path))


def held(session: Session, scope: str, digests: Sequence[str]) -> dict[str, HeldBlob]:
    """Tell which of these were sent to this scope."""
    if len(digests) == 1:
        row = session.row(_HELD_ROW, scope=scope, digest=digest_bytes(digests[0]))
        return {digests[0]: HeldBlob(*row)} if row else {}
    found: dict[str, HeldBlob] = {}
    for start in range(0, len(digests), _MOST_VALUES):
        part = [digest_bytes(digest) for digest in digests[start : start + _MOST_VALUES]]
        query: Query = (
            Blob.select(Blob.digest, Blob.id, Blob.size, Blob.grace_us)
            .join(BlobHolder, on=(BlobHolder.blob == Blob.id))
            .join(Scope, on=(Scope.id == BlobHolder.scope))
            .where((Scope.name == scope) & Blob.digest.in_(part))
        )
        for digest, *rest in session.rows(query):
            found[digest_text(digest)] = HeldBlob(*rest)
    return found


def is_known(session: Session, digest: str) -> bool:
    """Tell whether these bytes are here, whoever sent them."""
    return session.row(_ID, digest=digest_bytes(digest)) is not None


def add(session: Session, scope: str, blob: StoredBlob, now_us: int) -> bool:
    """Publish a blob to a scope; answer whether its key is the one in use."""
    digest = digest_bytes(blob.digest)
    row = session.row(_ID, digest=digest)
    blob_id = (
        row[0]
        if row
        else session.insert(
            _ADD,
            digest=digest,
            size=blob.size,
            key=blob.key,
            checksums=blob.checksums,
            now_us=now_us,
            grace_us=now_us + GRACE_US,
        )
    )
    session.put(_HOLD, scope=scope_id(session, scope), blob=blob_id)
    if row:
        session.put(_RENEW, digest=digest, grace_us=now_us + GRACE_US)
    return row is None


def hold(session: Session, scope: str, digests: Iterable[str], now_us: int) -> list[str]:
    """Let blobs belong to a scope too, which proved that it has the bytes; answer those gone."""
    scope_row = scope_id(session, scope)
    gone = []
    for digest in digests:
        row = session.row(_ID, digest=digest_bytes(digest))
        if row is None:
            gone.append(digest)
        else:
            session.put(_HOLD, scope=scope_row, blob=row[0])
    renew(session, digests, now_us)
    return gone


def renew(session: Session, digests: Iterable[str], now_us: int) -> None:
    """Keep blobs safe from collection for another grace time."""
    grace_us = now_us + GRACE_US
    session.many(
        _RENEW, [{"digest": digest_bytes(digest), "grace_us": grace_us} for digest in digests]
    )


def _stored(row: Row | None) -> StoredBlob | None:
    if row is None:
        return None
    digest, key, size, checksums = row
    return StoredBlob(digest_text(digest), key, size, checksums)
