"""Sealed manifests and their files: queries."""

from dataclasses import dataclass

from peewee import Query

from modelkeep_server.records.encode import digest_bytes, digest_text
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Blob, Manifest, ManifestFile, Scope

_SEALED = Statement(
    lambda: (
        Manifest.select(Manifest.id, Manifest.file_count, Manifest.size)
        .join(Scope)
        .where(
            (Scope.name == bind("parent"))
            & (Manifest.digest == bind("digest"))
            & (Manifest.sealed == True)  # noqa: E712  # peewee's way to say it in SQL
        )
    )
)
_FILE = Statement(
    lambda: (
        ManifestFile.select(ManifestFile.path, Blob.digest, Blob.size)
        .join(Blob)
        .where((ManifestFile.manifest == bind("manifest")) & (ManifestFile.path == bind("path")))
    )
)


@dataclass(frozen=True, slots=True)
class SealedManifest:
    """A manifest that versions can be made of. Sizes in bytes."""

    id: int
    file_count: int
    size: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a manifest."""

    path: str
    digest: str
    size: int


def sealed(session: Session, parents: tuple[str, ...], digest: str) -> SealedManifest | None:
    """Find a manifest that is sealed under one of these parents."""
    for parent in parents:
        row = session.row(_SEALED, parent=parent, digest=digest_bytes(digest))
        if row is not None:
            return SealedManifest(*row)
    return None


def file(session: Session, manifest_id: int, path: str) -> StoredFile | None:
    """Find a file by its path."""
    row = session.row(_FILE, manifest=manifest_id, path=path)
    return StoredFile(row[0], digest_text(row[1]), row[2]) if row else None


def files(
    session: Session, manifest_id: int, after: str, limit: int, prefix: str = ""
) -> list[StoredFile]:
    """List files behind a path, by path; with a prefix, that file or what lies under it."""
    query: Query = (
        ManifestFile.select(ManifestFile.path, Blob.digest, Blob.size)
        .join(Blob)
        .where((ManifestFile.manifest == manifest_id) & (ManifestFile.path > after))
    )
    if prefix:
        # What lies under `a` sorts between `a/` and `a0`, the character behind the slash.
        under = (ManifestFile.path > f"{prefix}/") & (ManifestFile.path < f"{prefix}0")
        query = query.where((ManifestFile.path == prefix) | under)
    rows = session.rows(query.order_by(ManifestFile.path).limit(limit))
    return [StoredFile(path, digest_text(digest), size) for path, digest, size in rows]
