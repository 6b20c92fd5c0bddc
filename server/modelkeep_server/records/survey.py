"""Bytes and manifests that are stored, a row at a time: what a check of it all reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from peewee import JOIN, fn

from modelkeep_server.records.encode import digest_text
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import Blob, Manifest, ManifestFile, Scope, StagedPart
from modelkeep_server.values.stored_blob import StoredBlob

BEFORE_ALL = -(2**63)
"""Every row's number is greater."""

_BLOB = Blob.select(Blob.digest, Blob.key, Blob.size, Blob.checksums)
_BLOBS = Statement(lambda: _BLOB.order_by(Blob.key))
_FIRST_BLOBS = Statement(lambda: _BLOB.order_by(Blob.key).limit(bind("limit")))
_BLOBS_BEHIND = Statement(
    lambda: _BLOB.where(Blob.key > bind("after")).order_by(Blob.key).limit(bind("limit"))
)
_BLOB_TOTALS = Statement(
    lambda: Blob.select(fn.COUNT(Blob.id), fn.COALESCE(fn.SUM(Blob.size), 0).cast("BIGINT"))
)
_PARTS = Statement(
    lambda: StagedPart.select(
        StagedPart.key, StagedPart.digest, StagedPart.size, StagedPart.durable_size
    )
)
_PART = Statement(lambda: StagedPart.select(StagedPart.id).where(StagedPart.key == bind("key")))

_MANIFESTS = Statement(
    lambda: (
        Manifest.select(
            Manifest.id,
            Scope.name,
            Manifest.digest,
            Manifest.file_count,
            Manifest.checked_files,
            Manifest.size,
            Manifest.sealed,
            Blob.digest,
            Blob.key,
            Blob.size,
            Blob.checksums,
        )
        .join(Scope, JOIN.LEFT_OUTER)
        .join(Blob, JOIN.LEFT_OUTER, on=(Blob.id == Manifest.blob))
        .where(Manifest.id > bind("after"))
        .order_by(Manifest.id)
    )
)
_TOTALS = Statement(
    lambda: (
        ManifestFile.select(fn.COUNT(Blob.id), fn.COALESCE(fn.SUM(Blob.size), 0).cast("BIGINT"))
        .join(Blob)
        .where(ManifestFile.manifest == bind("manifest"))
    )
)
_LINES = Statement(
    lambda: (
        ManifestFile.select(ManifestFile.path, Blob.digest)
        .join(Blob)
        .where(ManifestFile.manifest == bind("manifest"))
        .order_by(ManifestFile.path)
    )
)


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest's row and its blob, if that is there. Sizes in bytes."""

    id: int
    scope: str
    digest: str
    file_count: int
    checked_files: int
    size: int
    sealed: bool
    blob: StoredBlob | None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a blob, as its row describes it. Sizes in bytes."""

    key: str
    digest: str
    size: int
    durable_size: int


def blobs(session: Session) -> Iterator[StoredBlob]:
    """Yield all blobs, by key."""
    return (_stored(row) for row in session.each(_BLOBS))


def blobs_behind(session: Session, after: str | None, limit: int) -> list[StoredBlob]:
    """List blobs by key: the first, or those behind a key."""
    if after is None:
        return [_stored(row) for row in session.rows(_FIRST_BLOBS, limit=limit)]
    return [_stored(row) for row in session.rows(_BLOBS_BEHIND, after=after, limit=limit)]


def still(session: Session, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:
    """Tell which of these blobs are there as they were."""
    rows = session.rows(_BLOB.where(Blob.key.in_([blob.key for blob in blobs])))
    there = {_stored(row) for row in rows}
    return [blob for blob in blobs if blob in there]


def blob_totals(session: Session) -> tuple[int, int]:
    """Tell how many blobs there are, and how many bytes they have together."""
    count, size = session.row(_BLOB_TOTALS) or (0, 0)
    return count, size


def parts(session: Session) -> Iterator[StoredPart]:
    """Yield all staged parts."""
    for key, digest, size, durable_size in session.each(_PARTS):
        yield StoredPart(key, digest_text(digest), size, durable_size)


def is_part(session: Session, key: str) -> bool:
    """Tell whether a key is a staged part's."""
    return session.row(_PART, key=key) is not None


def manifests(session: Session, after: int = BEFORE_ALL) -> Iterator[StoredManifest]:
    """Yield all manifests, sealed or not; those behind a row."""
    for row in session.each(_MANIFESTS, after=after):
        manifest_id, scope, digest, files, checked, size, sealed, blob_digest, *rest = row
        blob = None if blob_digest is None else StoredBlob(digest_text(blob_digest), *rest)
        text = digest_text(digest)
        yield StoredManifest(manifest_id, scope, text, files, checked, size, bool(sealed), blob)


def totals(session: Session, manifest_id: int) -> tuple[int, int]:
    """Tell how many files a manifest has, and how many bytes they have together."""
    count, size = session.row(_TOTALS, manifest=manifest_id) or (0, 0)
    return count, size


def lines(session: Session, manifest_id: int) -> Iterator[tuple[str, str]]:
    """Yield a manifest's files by path: digest and path."""
    for path, digest in session.each(_LINES, manifest=manifest_id):
        yield digest_text(digest), path


def _stored(row: Row) -> StoredBlob:
    digest, key, size, checksums = row
    return StoredBlob(digest_text(digest), key, size, checksums)
