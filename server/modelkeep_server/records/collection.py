"""What nothing refers to: finding it a page at a time, and taking its rows away.

* Pages are read beside the writer; what they found is looked at again in the transaction that
  takes it away.
* A manifest is released from its last file back to its first. So at each step it is what a seal
  that was left looks like, and can be gone on with.
* A blob that is condemned has no row any more, and so is missing to everybody. Its key waits here
  until the store has removed its bytes.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from peewee import Expression, Query, Value, fn

from modelkeep_server.records.sealing import LEASE_US
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import (
    Asset,
    Blob,
    BlobHolder,
    CondemnedBlob,
    Manifest,
    ManifestFile,
    StagedPart,
    Version,
)

_ONE = Value(1, converter=False)
_NOT_PURGED = Version.purged == False  # noqa: E712  # peewee's way to say it in SQL


def _is_over(table: type[Version | Asset]) -> Expression:
    """Is it deleted, and past its time for being undeleted?"""
    return table.deleted_us.is_null(False) & (table.purge_us <= bind("now_us"))


def _is_kept(manifest: Any) -> Any:
    """Has a manifest a version that keeps it, or somebody who seals it?"""
    keeper = (
        Version.select(_ONE)
        .join(Asset, on=(Asset.id == Version.asset))
        .where(
            (Version.manifest == manifest.id)
            & _NOT_PURGED
            & ~(_is_over(Version))
            & ~(_is_over(Asset))
        )
    )
    text = Blob.alias()
    young = text.select(_ONE).where((text.id == manifest.blob) & (text.grace_us >= bind("now_us")))
    leased = (manifest.lease_us > bind("now_us")) & (manifest.lease_us <= bind("latest_us"))
    return fn.EXISTS(keeper) | fn.EXISTS(young) | leased


def _blobs() -> Query:
    manifest = Manifest.alias()
    file = (
        ManifestFile.select(_ONE)
        .join(manifest, on=(manifest.id == ManifestFile.manifest))
        .where((ManifestFile.blob == Blob.id) & _is_kept(manifest))
    )
    text = manifest.select(_ONE).where((manifest.blob == Blob.id) & _is_kept(manifest))
    young = Blob.grace_us >= bind("now_us")
    return (
        Blob.select(Blob.id, Blob.size, young | fn.EXISTS(file) | fn.EXISTS(text))
        .where(Blob.id > bind("after"))
        .order_by(Blob.id)
        .limit(bind("limit"))
    )


def _unused(ids: Sequence[int], now_us: int) -> Query:
    """Of these blobs, those that nothing refers to: as `_blobs`, once manifests are released."""
    return Blob.select(Blob.id, Blob.key, Blob.size).where(
        Blob.id.in_(ids)
        & (Blob.grace_us < now_us)
        & ~fn.EXISTS(ManifestFile.select(_ONE).where(ManifestFile.blob == Blob.id))
        & ~fn.EXISTS(Manifest.select(_ONE).where(Manifest.blob == Blob.id))
    )


def _over(*where: Expression) -> Query:
    return (
        Version.select(Version.id)
        .join(Asset, on=(Asset.id == Version.asset))
        .where(_NOT_PURGED, Version.id > bind("after"), *where)
        .order_by(Version.id)
        .limit(bind("limit"))
    )


_VERSIONS_OVER = Statement(lambda: _over(_is_over(Version)))
_ASSETS_OVER = Statement(lambda: _over(_is_over(Asset)))
_MANIFESTS = Statement(
    lambda: (
        Manifest.select(Manifest.id, _is_kept(Manifest))
        .where((Manifest.id > bind("after")) & Manifest.blob.is_null(False))
        .order_by(Manifest.id)
        .limit(bind("limit"))
    )
)
_BLOBS = Statement(_blobs)
_RELEASABLE = Statement(
    lambda: Manifest.select(Manifest.id).where(
        (Manifest.id == bind("id")) & Manifest.blob.is_null(False) & ~_is_kept(Manifest)
    )
)
_UNPURGED = Statement(
    lambda: Version.select(Version.id).where((Version.manifest == bind("id")) & _NOT_PURGED)
)
_ANY_VERSION = Statement(
    lambda: Version.select(Version.id).where(Version.manifest == bind("id")).limit(1)
)
_LAST_FILES = Statement(
    lambda: (
        ManifestFile.select(ManifestFile.path, Blob.size)
        .join(Blob)
        .where(ManifestFile.manifest == bind("id"))
        .order_by(ManifestFile.path.desc())
        .limit(bind("limit"))
    )
)
_DROP_FILES = Statement(
    lambda: ManifestFile.delete().where(
        (ManifestFile.manifest == bind("id")) & (ManifestFile.path >= bind("first"))
    )
)
_SHORTEN = Statement(
    lambda: Manifest.update(
        sealed=False,
        checked_files=Manifest.checked_files - bind("files"),
        size=Manifest.size - bind("bytes"),
        fence=Manifest.fence + 1,
    ).where(Manifest.id == bind("id"))
)
_EMPTY = Statement(lambda: Manifest.update(blob=None).where(Manifest.id == bind("id")))
_DROP_MANIFEST = Statement(lambda: Manifest.delete().where(Manifest.id == bind("id")))
_CONDEMN = Statement(
    lambda: CondemnedBlob.insert(
        key=bind("key"), size=bind("size"), due_us=bind("due_us")
    ).on_conflict_ignore()
)
_FORGET = Statement(lambda: CondemnedBlob.delete().where(CondemnedBlob.key == bind("key")))
_DUE = Statement(
    lambda: (
        CondemnedBlob.select(
            CondemnedBlob.key,
            CondemnedBlob.size,
            fn.EXISTS(Blob.select(_ONE).where(Blob.key == CondemnedBlob.key))
            | fn.EXISTS(StagedPart.select(_ONE).where(StagedPart.key == CondemnedBlob.key)),
        )
        .where((CondemnedBlob.key > bind("after")) & (CondemnedBlob.due_us <= bind("now_us")))
        .order_by(CondemnedBlob.key)
        .limit(bind("limit"))
    )
)


def _keys(table: type[Blob | StagedPart]) -> Query:
    return table.select(table.key).where((table.key >= bind("first")) & (table.key < bind("last")))


_KEYS = [Statement(partial(_keys, table)) for table in (Blob, StagedPart)]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that were looked at, in their order.

    Attributes:
        ids: All of them.
        found: Those that nothing keeps.
        size: How many bytes those have together, where they are blobs.
    """

    ids: list[int]
    found: list[int]
    size: int = 0

    def up_to(self, last: int) -> int:
        """Tell how many come before this one, itself counted."""
        return bisect_right(self.ids, last)


@dataclass(frozen=True, slots=True)
class Due:
    """Bytes whose time has come. A row may have given them a digest since: such are kept."""

    key: str
    size: int
    kept: bool


def versions(session: Session, after: int, limit: int, now_us: int) -> list[int]:
    """List versions behind a row that can't be undeleted any more, and keep their bytes."""
    values = {"after": after, "limit": limit, "now_us": now_us}
    ids = {
        row[0] for query in (_VERSIONS_OVER, _ASSETS_OVER) for row in session.rows(query, **values)
    }
    return sorted(ids)[:limit]


def manifests(session: Session, after: int, limit: int, now_us: int) -> Page | None:
    """Look at the manifests behind a row; nothing where there are none."""
    values = {"after": after, "limit": limit, **_times(now_us)}
    rows = session.rows(_MANIFESTS, **values)
    if not rows:
        return None
    return Page([one for one, _ in rows], [one for one, kept in rows if not kept])


def blobs(session: Session, after: int, limit: int, now_us: int) -> Page | None:
    """Look at the blobs behind a row; nothing where there are none."""
    values = {"after": after, "limit": limit, **_times(now_us)}
    rows = session.rows(_BLOBS, **values)
    if not rows:
        return None
    found = [(blob_id, size) for blob_id, size, kept in rows if not kept]
    ids, found_ids = ([row[0] for row in some] for some in (rows, found))
    return Page(ids, found_ids, sum(size for _, size in found))


def release(session: Session, manifest_id: int, limit: int, now_us: int) -> int | None:
    """Take a manifest's last files from it, unless it is used; tell how many those are.

    With the first file goes the manifest, or what it refers to where a purged version names it;
    then there are fewer than `limit`. Nothing: it is used, and was left as it is.
    """
    used = session.row(_UNPURGED, id=manifest_id) is not None
    if used or session.row(_RELEASABLE, id=manifest_id, **_times(now_us)) is None:
        return None
    files = session.rows(_LAST_FILES, id=manifest_id, limit=limit)
    if files:
        session.put(_DROP_FILES, id=manifest_id, first=files[-1][0])
    size = sum(size for _, size in files)
    session.put(_SHORTEN, id=manifest_id, files=len(files), bytes=size)
    if len(files) < limit:
        named = session.row(_ANY_VERSION, id=manifest_id) is not None
        session.put(_EMPTY if named else _DROP_MANIFEST, id=manifest_id)
    return len(files)


def condemn(session: Session, blob_ids: Sequence[int], now_us: int) -> tuple[int, int]:
    """Take away the rows of those of these blobs that are unused: how many, how many bytes."""
    rows = session.rows(_unused(blob_ids, now_us))
    if not rows:
        return 0, 0
    ids = [blob_id for blob_id, _, _ in rows]
    session.put(BlobHolder.delete().where(BlobHolder.blob.in_(ids)))
    session.put(Blob.delete().where(Blob.id.in_(ids)))
    note(session, {key: size for _, key, size in rows}, now_us)
    return len(rows), sum(size for _, _, size in rows)


def unknown(session: Session, first: str, last: str, there: Mapping[str, int]) -> dict[str, int]:
    """Tell which keys of these shards no row gives a digest to, or will, with their sizes."""
    bounds = {"first": first, "last": f"{last}g"}  # behind the last hex digit
    known = {key for query in _KEYS for (key,) in session.rows(query, **bounds)}
    return {key: size for key, size in there.items() if key not in known}


def note(session: Session, sizes: Mapping[str, int], due_us: int) -> None:
    """Condemn bytes that no row gives a digest to, from that time on."""
    session.many(
        _CONDEMN, [{"key": key, "size": size, "due_us": due_us} for key, size in sizes.items()]
    )


def due(session: Session, after: str, limit: int, now_us: int) -> list[Due]:
    """List condemned bytes behind a key whose time has come."""
    rows = session.rows(_DUE, after=after, limit=limit, now_us=now_us)
    return [Due(key, size, bool(kept)) for key, size, kept in rows]


def forget(session: Session, key: str) -> bool:
    """Condemn these bytes no more; answer whether they were until now."""
    return session.run(_FORGET, key=key) == 1


def _times(now_us: int) -> dict[str, int]:
    return {"now_us": now_us, "latest_us": now_us + 2 * LEASE_US}
