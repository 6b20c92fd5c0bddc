"""Manifests on their way to being sealed: rows in batches, under a lease."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from modelkeep_server.records.blobs import scope_id
from modelkeep_server.records.encode import digest_bytes, digest_text
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import Blob, Manifest, ManifestFile, Scope

LEASE_US = 10 * 1_000_000
"""After so much silence another call may go on with the seal, in microseconds."""

_COLUMNS = (
    Manifest.id,
    Manifest.operation,
    Scope.name,
    Manifest.digest,
    Manifest.file_count,
    Manifest.checked_files,
    Manifest.size,
    Manifest.sealed,
    Manifest.fence,
    Manifest.lease_us,
)
_FIND = Statement(
    lambda: (
        Manifest.select(*_COLUMNS)
        .join(Scope)
        .where((Scope.name == bind("scope")) & (Manifest.digest == bind("digest")))
    )
)
_BY_OPERATION = Statement(
    lambda: Manifest.select(*_COLUMNS).join(Scope).where(Manifest.operation == bind("operation"))
)
_PAGE = Statement(
    lambda: (
        Manifest.select(*_COLUMNS)
        .join(Scope)
        .where(
            (Manifest.id < bind("below"))
            & ((Scope.name == bind("parent")) | Scope.name.between(bind("first"), bind("last")))
        )
        .order_by(Manifest.id.desc())
        .limit(bind("limit"))
    )
)
_BLOB = Statement(lambda: Blob.select(Blob.id).where(Blob.digest == bind("digest")))
_BEGIN = Statement(
    lambda: Manifest.insert(
        scope=bind("scope"),
        operation=bind("operation"),
        digest=bind("digest"),
        blob=bind("blob"),
        file_count=bind("file_count"),
        checked_files=0,
        size=0,
        sealed=False,
        fence=1,
        lease_us=bind("lease_us"),
    )
)
_TAKE = Statement(
    # A manifest that was released refers to its text again.
    lambda: Manifest.update(
        fence=Manifest.fence + 1,
        lease_us=bind("lease_us"),
        blob=Blob.select(Blob.id).where(Blob.digest == Manifest.digest),
    ).where((Manifest.id == bind("id")) & (Manifest.fence == bind("fence")))
)
_ADVANCE = Statement(
    lambda: Manifest.update(
        checked_files=bind("checked_files"),
        size=bind("size"),
        sealed=bind("sealed"),
        lease_us=bind("lease_us"),
    ).where((Manifest.id == bind("id")) & (Manifest.fence == bind("fence")))
)
_ADD_FILE = Statement(
    lambda: ManifestFile.insert(manifest=bind("manifest"), path=bind("path"), blob=bind("blob"))
)
_FREE = Statement(
    lambda: Manifest.update(lease_us=0).where(
        (Manifest.id == bind("id")) & (Manifest.fence == bind("fence"))
    )
)
_FREE_ALL = Statement(lambda: Manifest.update(lease_us=0).where(Manifest.lease_us > 0))


@dataclass(frozen=True, slots=True)
class Seal:
    """A manifest being sealed, or sealed. `size` is in bytes, of the files checked so far."""

    id: int
    operation: str
    scope: str
    digest: str
    file_count: int
    checked_files: int
    size: int
    sealed: bool
    fence: int
    lease_us: int


def find(session: Session, scope: str, digest: str) -> Seal | None:
    """Find the seal of a manifest under a scope."""
    return _seal(session.row(_FIND, scope=scope, digest=digest_bytes(digest)))


def by_operation(session: Session, operation: str) -> Seal | None:
    """Find a seal by its operation."""
    return _seal(session.row(_BY_OPERATION, operation=operation))


def page(session: Session, parent: str, below: int, limit: int) -> Iterator[Seal]:
    """List the seals of a namespace and what is in it (empty: all) below a row, latest first."""
    # What lies in a namespace sorts between `…/` and `…0`, the character behind the slash.
    first, last = (f"{parent}/", f"{parent}0") if parent else ("", "\uffff")
    rows = session.each(_PAGE, below=below, parent=parent, first=first, last=last, limit=limit)
    return (Seal(*_parts(row)) for row in rows)


def begin(session: Session, scope: str, digest: str, file_count: int, lease_us: int) -> Seal:
    """Begin a seal of a manifest whose blob is here."""
    blob = session.row(_BLOB, digest=digest_bytes(digest))
    operation = secrets.token_hex(16)
    seal_id = session.insert(
        _BEGIN,
        operation=operation,
        scope=scope_id(session, scope),
        digest=digest_bytes(digest),
        blob=blob[0] if blob else None,
        file_count=file_count,
        lease_us=lease_us,
    )
    return Seal(seal_id, operation, scope, digest, file_count, 0, 0, False, 1, lease_us)


def take(session: Session, seal: Seal, lease_us: int) -> Seal:
    """Take over a seal that was left."""
    session.put(_TAKE, id=seal.id, fence=seal.fence, lease_us=lease_us)
    return replace(seal, fence=seal.fence + 1, lease_us=lease_us)


def advance(
    session: Session, seal: Seal, files: list[tuple[str, int]], size: int, lease_us: int
) -> Seal | None:
    """Write the next files (path and blob row); the last ones seal it. None: the lease is lost."""
    checked = seal.checked_files + len(files)
    done = checked == seal.file_count
    changed = session.run(
        _ADVANCE,
        id=seal.id,
        fence=seal.fence,
        checked_files=checked,
        size=seal.size + size,
        sealed=done,
        lease_us=0 if done else lease_us,
    )
    if changed != 1:
        return None
    session.many(
        _ADD_FILE, [{"manifest": seal.id, "path": path, "blob": blob} for path, blob in files]
    )
    return replace(
        seal, checked_files=checked, size=seal.size + size, sealed=done, lease_us=lease_us
    )


def free(session: Session, seal: Seal) -> None:
    """End the lease of a seal, unless it is another's by now."""
    session.put(_FREE, id=seal.id, fence=seal.fence)


def free_all(session: Session) -> None:
    """End all leases: at the start of the only server, nobody has one."""
    session.put(_FREE_ALL)


def _seal(row: Row | None) -> Seal | None:
    return Seal(*_parts(row)) if row else None


def _parts(row: Row) -> tuple[Any, ...]:
    seal_id, operation, scope, digest, file_count, checked, size, sealed, *lease = row
    text = digest_text(digest)
    return seal_id, operation, scope, text, file_count, checked, size, bool(sealed), *lease
