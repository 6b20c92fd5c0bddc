"""Long work that was asked for: how far it is, who does it, what came of it.

Whoever does an operation has its lease, with a fencing number: what is written under a lower one
is refused. Where the lease ended, its server died, and another goes on.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import Operation
from modelkeep_server.records.transaction import Transaction

LEASE_US = 30 * 1_000_000
"""After so much silence another server may go on, in microseconds."""

_COLUMNS = (
    Operation.id,
    Operation.name,
    Operation.kind,
    Operation.principal,
    Operation.created_us,
    Operation.request,
    Operation.cursor,
    Operation.progress,
    Operation.cancelled,
    Operation.done,
    Operation.error,
    Operation.fence,
)
_ADD = Statement(
    lambda: Operation.insert(
        name=bind("name"),
        kind=bind("kind"),
        principal=bind("principal"),
        created_us=bind("created_us"),
        request=bind("request"),
        logged=bind("logged"),
        cursor="",
        progress=b"",
        cancelled=False,
        done=False,
        fence=0,
        lease_us=0,
    )
)
_FIND = Statement(lambda: Operation.select(*_COLUMNS).where(Operation.name == bind("name")))
_BY_ID = Statement(lambda: Operation.select(*_COLUMNS).where(Operation.id == bind("id")))
_PAGE = Statement(
    lambda: (
        Operation.select(*_COLUMNS)
        .where(Operation.id < bind("below"))
        .order_by(Operation.id.desc())
        .limit(bind("limit"))
    )
)
# A lease that would last much longer than any was given by a clock that has been set back since.
_FREE = (
    (Operation.done == False)  # noqa: E712  # peewee's way to say it in SQL
    & ((Operation.lease_us <= bind("now_us")) | (Operation.lease_us > bind("latest_us")))
)
_NEXT = Statement(
    lambda: (
        Operation.select(Operation.id)
        .where((Operation.kind == bind("kind")) & _FREE)
        .order_by(Operation.id)
        .limit(1)
    )
)
_TAKE = Statement(
    lambda: Operation.update(fence=Operation.fence + 1, lease_us=bind("lease_us")).where(
        (Operation.id == bind("id")) & _FREE
    )
)
_ADVANCE = Statement(
    lambda: Operation.update(
        cursor=bind("cursor"), progress=bind("progress"), lease_us=bind("lease_us")
    ).where((Operation.id == bind("id")) & (Operation.fence == bind("fence")))
)
_RENEW = Statement(
    lambda: Operation.update(progress=bind("progress"), lease_us=bind("lease_us")).where(
        (Operation.id == bind("id")) & (Operation.fence == bind("fence"))
    )
)
_END = Statement(
    lambda: Operation.update(done=True, error=bind("error"), lease_us=0).where(
        (Operation.id == bind("id")) & (Operation.fence == bind("fence"))
    )
)
_GIVE_BACK = Statement(
    lambda: Operation.update(lease_us=0).where(
        (Operation.id == bind("id")) & (Operation.fence == bind("fence"))
    )
)
_CANCEL = Statement(
    lambda: Operation.update(cancelled=True).where(
        (Operation.name == bind("name")) & (Operation.done == False)  # noqa: E712
    )
)


@dataclass(frozen=True, slots=True)
class StoredOperation:
    """An operation's row; `error` is a `google.rpc.Status`, serialized."""

    id: int
    name: str
    kind: str
    principal: str
    created_us: int
    request: bytes
    cursor: str
    progress: bytes
    cancelled: bool
    done: bool
    error: bytes | None
    fence: int


class LostError(Exception):
    """Another server does the operation by now."""


def add(tx: Transaction, kind: str, request: bytes, *, logged: bool) -> StoredOperation:
    """Ask for an operation; whoever is free begins it."""
    operation_id = tx.session.insert(
        _ADD,
        name=secrets.token_hex(16),
        kind=kind,
        principal=tx.call.principal,
        created_us=tx.time_us,
        request=request,
        logged=logged,
    )
    return _stored(tx.session.rows(_BY_ID, id=operation_id)[0])


def find(session: Session, name: str) -> StoredOperation | None:
    """Find an operation."""
    row = session.row(_FIND, name=name)
    return _stored(row) if row else None


def page(session: Session, below: int, limit: int) -> Iterator[StoredOperation]:
    """List the operations below a row, the latest first."""
    return (_stored(row) for row in session.each(_PAGE, below=below, limit=limit))


def waiting(session: Session, kind: str, now_us: int) -> int | None:
    """Tell an operation of a kind that nobody does, the oldest."""
    row = session.row(_NEXT, kind=kind, now_us=now_us, latest_us=now_us + 2 * LEASE_US)
    return row[0] if row else None


def take(session: Session, operation_id: int, now_us: int) -> StoredOperation | None:
    """Begin or go on with an operation, unless another was faster."""
    lease_us = now_us + LEASE_US
    latest_us = now_us + 2 * LEASE_US
    taken = session.run(
        _TAKE, id=operation_id, now_us=now_us, latest_us=latest_us, lease_us=lease_us
    )
    row = session.row(_BY_ID, id=operation_id) if taken else None
    return _stored(row) if row else None


def advance(
    session: Session, operation: StoredOperation, cursor: str, progress: bytes, now_us: int
) -> StoredOperation:
    """Note how far it is, and answer it so; `LostError` where it is another's."""
    return _kept(session, _ADVANCE, operation, progress, now_us, cursor=cursor)


def renew(
    session: Session, operation: StoredOperation, progress: bytes, now_us: int
) -> StoredOperation:
    """Keep it, and show how far its step is, and answer it so; `LostError` where it is another's.

    Whoever takes it over begins that step again.
    """
    return _kept(session, _RENEW, operation, progress, now_us)


def _kept(
    session: Session,
    statement: Statement,
    operation: StoredOperation,
    progress: bytes,
    now_us: int,
    **values: object,
) -> StoredOperation:
    changed = session.run(
        statement,
        id=operation.id,
        fence=operation.fence,
        progress=progress,
        lease_us=now_us + LEASE_US,
        **values,
    )
    row = session.row(_BY_ID, id=operation.id)
    if not changed or row is None:
        raise LostError
    return _stored(row)


def end(session: Session, operation: StoredOperation, error: bytes | None) -> None:
    """End an operation, unless it is another's by now."""
    session.put(_END, id=operation.id, fence=operation.fence, error=error)


def give_back(session: Session, operation: StoredOperation) -> None:
    """Let another go on with an operation, unless that does so already."""
    session.put(_GIVE_BACK, id=operation.id, fence=operation.fence)


def cancel(session: Session, name: str) -> None:
    """Ask for an operation's end."""
    session.put(_CANCEL, name=name)


def _stored(row: Row) -> StoredOperation:
    *start, cancelled, done, error, fence = row
    return StoredOperation(*start, bool(cancelled), bool(done), error, fence)  # type: ignore[call-arg]  # mypy counts `start` as none
