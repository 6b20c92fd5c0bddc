"""Staged parts of blobs, and the leases of who sends them.

A lease has a fencing number: whoever took a part over has a higher one, and what is written
under a lower one is refused.
"""

from dataclasses import dataclass

from modelkeep_server.records.blobs import scope_id
from modelkeep_server.records.encode import digest_bytes
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Scope, StagedPart

LEASE_US = 10 * 1_000_000
"""After so much silence a part is free, in microseconds."""

_COLUMNS = (
    StagedPart.id,
    StagedPart.key,
    StagedPart.size,
    StagedPart.durable_size,
    StagedPart.fence,
    StagedPart.lease_us,
)
_FIND = Statement(
    lambda: (
        StagedPart.select(*_COLUMNS)
        .join(Scope)
        .where(
            (Scope.name == bind("scope"))
            & (StagedPart.principal == bind("principal"))
            & (StagedPart.digest == bind("digest"))
        )
    )
)
_ADD = Statement(
    lambda: StagedPart.insert(
        scope=bind("scope"),
        principal=bind("principal"),
        digest=bind("digest"),
        key=bind("key"),
        size=bind("size"),
        durable_size=0,
        fence=1,
        lease_us=bind("lease_us"),
        changed_us=bind("now_us"),
    )
)
_TAKE = Statement(
    lambda: StagedPart.update(
        fence=StagedPart.fence + 1,
        key=bind("key"),
        size=bind("size"),
        durable_size=bind("durable_size"),
        lease_us=bind("lease_us"),
        changed_us=bind("now_us"),
    ).where((StagedPart.id == bind("id")) & (StagedPart.fence == bind("fence")))
)
_KEEP = Statement(
    lambda: StagedPart.update(
        durable_size=bind("durable_size"), lease_us=bind("lease_us"), changed_us=bind("now_us")
    ).where((StagedPart.id == bind("id")) & (StagedPart.fence == bind("fence")))
)
_RENEW = Statement(
    lambda: StagedPart.update(lease_us=bind("lease_us"), changed_us=bind("now_us")).where(
        (StagedPart.id == bind("id")) & (StagedPart.fence == bind("fence"))
    )
)
_DROP = Statement(
    lambda: StagedPart.delete().where(
        (StagedPart.id == bind("id")) & (StagedPart.fence == bind("fence"))
    )
)
_OLD = Statement(
    lambda: StagedPart.select(*_COLUMNS).where(
        (StagedPart.changed_us < bind("before_us")) & (StagedPart.lease_us < bind("now_us"))
    )
)
_FREE = Statement(lambda: StagedPart.update(lease_us=0).where(StagedPart.lease_us > 0))
_KEYS = Statement(lambda: StagedPart.select(StagedPart.key))


@dataclass(frozen=True, slots=True)
class Part:
    """A staged part: what was announced, what is durable, and whose turn it is. Sizes in bytes."""

    id: int
    key: str
    size: int
    durable_size: int
    fence: int
    lease_us: int


def find(session: Session, scope: str, principal: str, digest: str) -> Part | None:
    """Find what a principal has sent of a blob."""
    row = session.row(_FIND, scope=scope, principal=principal, digest=digest_bytes(digest))
    return Part(*row) if row else None


def add(
    session: Session, scope: str, principal: str, digest: str, key: str, size: int, now_us: int
) -> Part:
    """Begin a part."""
    lease_us = now_us + LEASE_US
    part_id = session.insert(
        _ADD,
        scope=scope_id(session, scope),
        principal=principal,
        digest=digest_bytes(digest),
        key=key,
        size=size,
        lease_us=lease_us,
        now_us=now_us,
    )
    return Part(part_id, key, size, 0, 1, lease_us)


def take(session: Session, part: Part, now_us: int) -> Part:
    """Take a part over that is free, to go on with it."""
    return _take(session, part, part.key, part.size, part.durable_size, now_us)


def begin_anew(session: Session, part: Part, key: str, size: int, now_us: int) -> Part:
    """Take a part over that is free, with nothing of it."""
    return _take(session, part, key, size, 0, now_us)


def _take(
    session: Session, part: Part, key: str, size: int, durable_size: int, now_us: int
) -> Part:
    lease_us = now_us + LEASE_US
    session.put(
        _TAKE,
        id=part.id,
        fence=part.fence,
        key=key,
        size=size,
        durable_size=durable_size,
        lease_us=lease_us,
        now_us=now_us,
    )
    return Part(part.id, key, size, durable_size, part.fence + 1, lease_us)


def keep(session: Session, part: Part, durable_size: int, now_us: int, lease_us: int) -> bool:
    """Note what is durable and until when the lease lasts; answer whether it was still ours."""
    changed = session.run(
        _KEEP,
        id=part.id,
        fence=part.fence,
        durable_size=durable_size,
        lease_us=lease_us,
        now_us=now_us,
    )
    return changed == 1


def renew(session: Session, part: Part, now_us: int, lease_us: int) -> bool:
    """Note until when the lease lasts, and nothing else; answer whether it was still ours."""
    return session.run(_RENEW, id=part.id, fence=part.fence, lease_us=lease_us, now_us=now_us) == 1


def drop(session: Session, part: Part) -> bool:
    """End a part; answer whether it was still ours."""
    return session.run(_DROP, id=part.id, fence=part.fence) == 1


def old(session: Session, before_us: int, now_us: int) -> list[Part]:
    """List the free parts that nobody has touched since."""
    return [Part(*row) for row in session.rows(_OLD, before_us=before_us, now_us=now_us)]


def keys(session: Session) -> set[str]:
    """List the keys of all parts."""
    return {key for (key,) in session.rows(_KEYS)}


def free_all(session: Session) -> None:
    """End all leases: at the start of the only server, nobody has one."""
    session.put(_FREE)
