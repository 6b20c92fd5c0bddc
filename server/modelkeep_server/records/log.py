"""The log: what `records.change` writes of every change, and what readers get of it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as AnyMessage
from peewee import Field, Query

from modelkeep.errors import UnavailableError
from modelkeep.merkle import leaf_hash
from modelkeep.v1 import event_pb2
from modelkeep_server.records import marks
from modelkeep_server.records.encode import (
    commitment,
    event_leaf,
    read_stored,
    timestamp,
)
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import Event, EventBody, EventScope, Setting
from modelkeep_server.records.transaction import Change, Transaction

_COLUMNS = (Event.position, Event.leaf, Event.reason, Event.reason_salt)
_ADD_EVENT = Statement(
    lambda: Event.insert(
        position=bind("position"),
        event_id=bind("event_id"),
        log_us=bind("log_us"),
        leaf=bind("leaf"),
        leaf_hash=bind("leaf_hash"),
        reason=bind("reason"),
        reason_salt=bind("reason_salt"),
    )
)
_BEGIN = Statement(lambda: Setting.insert(key=_FLOOR, value=bind("value")).on_conflict_ignore())
_ADD_BODY = Statement(
    lambda: EventBody.insert(
        position=bind("position"),
        ordinal=bind("ordinal"),
        before=bind("before"),
        before_salt=bind("before_salt"),
        after=bind("after"),
        after_salt=bind("after_salt"),
    )
)
_ADD_SCOPE = Statement(lambda: EventScope.insert(scope=bind("scope"), position=bind("position")))
# The time that was answered for as the past, the last event, and whether the log goes on
# elsewhere: one look-up for each write.
_PLACE = Statement(
    lambda: Setting.select(
        Setting.value, _last(Event.position), _last(Event.log_us), marks.moved()
    ).where(Setting.key == _FLOOR)
)
_RAISE = Statement(lambda: Setting.update(value=bind("value")).where(Setting.key == _FLOOR))
_LEAVES_AFTER = Statement(
    lambda: (
        Event.select(Event.position, Event.leaf)
        .where(Event.position > bind("after"))
        .order_by(Event.position)
        .limit(bind("limit"))
    )
)
_LAST = Statement(
    lambda: Event.select(Event.position, Event.log_us).order_by(Event.position.desc()).limit(1)
)
_ONE = Statement(lambda: Event.select(*_COLUMNS).where(Event.position == bind("position")))
_BODIES = Statement(
    lambda: (
        EventBody.select(
            EventBody.before,
            EventBody.before_salt,
            EventBody.after,
            EventBody.after_salt,
        )
        .where(EventBody.position == bind("position"))
        .order_by(EventBody.ordinal)
    )
)
_ALL_AFTER = Statement(
    lambda: (
        Event.select(*_COLUMNS)
        .where((Event.position > bind("after")) & (Event.position <= bind("up_to")))
        .order_by(Event.position)
        .limit(bind("limit"))
    )
)
_ALL_BEFORE = Statement(
    lambda: (
        Event.select(*_COLUMNS)
        .where(Event.position < bind("before"))
        .order_by(Event.position.desc())
        .limit(bind("limit"))
    )
)
_SCOPE_AFTER = Statement(
    lambda: (
        Event.select(*_COLUMNS)
        .join(EventScope, on=(EventScope.position == Event.position))
        .where(
            (EventScope.scope == bind("scope"))
            & (EventScope.position > bind("after"))
            & (EventScope.position <= bind("up_to"))
        )
        .order_by(EventScope.position)
        .limit(bind("limit"))
    )
)
_SCOPE_BEFORE = Statement(
    lambda: (
        Event.select(*_COLUMNS)
        .join(EventScope, on=(EventScope.position == Event.position))
        .where((EventScope.scope == bind("scope")) & (EventScope.position < bind("before")))
        .order_by(EventScope.position.desc())
        .limit(bind("limit"))
    )
)

_END = 2**63 - 1
_MANY = 200
_FLOOR = "log_floor"


@dataclass(frozen=True, slots=True)
class Committed:
    """An event that was committed: its place, and what it concerns."""

    position: int
    scopes: frozenset[str]


def _last(column: Field) -> Query:
    return Event.select(column).order_by(Event.position.desc()).limit(1)


def append(tx: Transaction, event_id: str, reason: str) -> frozenset[str]:
    """Write the event of what `tx` changed, and answer the scopes that it concerns."""
    bodies = [_sealed(change) for change in tx.changes]
    reason_salt = os.urandom(32) if reason else None
    record = event_pb2.EventRecord(
        event_id=event_id,
        principal=tx.call.principal,
        act=tx.act,
        method=tx.call.method,
        request_id=tx.call.request_id,
        reason_hash=_hash(reason_salt, reason.encode()),
        act_time=timestamp(tx.call.time_us),
        changes=[
            event_pb2.Change(
                resource=change.resource,
                revision=change.revision,
                before_hash=_hash(body["before_salt"], change.before),
                after_hash=_hash(body["after_salt"], change.after),
                type=change.type_name,
            )
            for change, body in zip(tx.changes, bodies, strict=True)
        ],
    )
    leaf = event_leaf(record, tx.position, tx.time_us)
    tx.session.put(
        _ADD_EVENT,
        position=tx.position,
        event_id=event_id,
        log_us=tx.time_us,
        leaf=leaf,
        leaf_hash=leaf_hash(leaf),
        reason=reason or None,
        reason_salt=reason_salt,
    )
    tx.session.many(
        _ADD_BODY,
        [{"position": tx.position, "ordinal": n, **body} for n, body in enumerate(bodies)],
    )
    scopes = _scopes(change.resource for change in tx.changes)
    tx.session.many(_ADD_SCOPE, [{"scope": scope, "position": tx.position} for scope in scopes])
    return scopes


def lineage(resource: str) -> list[str]:
    """Tell a resource's name and the names of what it lies in.

    >>> lineage("namespaces/a/assets/b")
    ['namespaces/a', 'namespaces/a/assets/b']
    """
    parts = resource.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts) + 1, 2)]


def begin(session: Session) -> None:
    """Keep a place for the time that was answered for, in a new database."""
    session.put(_BEGIN, value=_time(0))


def next_place(session: Session, now_us: int) -> tuple[int, int]:
    """Tell the position and the time of the event that is next; in a transaction that writes.

    The time is later than the last event's, and than any that was answered for as the past,
    whatever this machine's clock says. Raises `UnavailableError` where the registry was moved.
    """
    floor_us, position, log_us = _place(session)
    return position + 1, max(now_us, floor_us + 1, log_us + 1)


def settle(session: Session, time_us: int) -> None:
    """Let every event that comes be later than this."""
    if _place(session)[0] < time_us:
        session.put(_RAISE, value=_time(time_us))


def _place(session: Session) -> tuple[int, int, int]:
    row = session.row(_PLACE)
    assert row is not None
    floor, position, log_us, moved = row
    if moved is not None:  # also by a server that was cut off meanwhile, and did not hear of it
        raise UnavailableError(
            "REGISTRY_MOVED",
            "this registry was moved to other storage, or is being moved; nothing was changed, "
            "try again where it is served now",
            retry_after_seconds=1,
        )
    return int.from_bytes(floor), position or 0, log_us or 0


def committed_after(session: Session, position: int) -> list[Committed]:
    """List the events after a position, oldest first, as those know them who wait for some."""
    return [
        Committed(place, _scopes(change.resource for change in _record(leaf).changes))
        for place, leaf in session.rows(_LEAVES_AFTER, after=position, limit=_MANY)
    ]


def last(session: Session) -> tuple[int, int]:
    """Tell the position and the time of the last event, or zeros."""
    row = session.row(_LAST)
    return (row[0], row[1]) if row else (0, 0)


def find(session: Session, position: int) -> event_pb2.Event | None:
    """Find an event."""
    row = session.row(_ONE, position=position)
    return _event(session, row) if row else None


def leaves(session: Session, position: int, limit: int) -> Iterator[bytes]:
    """Yield the leaves after a position, as they are stored, oldest first."""
    return (leaf for _, leaf in session.each(_LEAVES_AFTER, after=position, limit=limit))


def leaf(session: Session, position: int) -> bytes:
    """Give the leaf of an event that there is."""
    return next(leaves(session, position - 1, 1))


def after(
    session: Session, resource: str, position: int, limit: int, up_to: int = _END
) -> list[event_pb2.Event]:
    """List the events after a position, of a resource and what lies in it, oldest first."""
    if resource:
        rows = session.rows(_SCOPE_AFTER, scope=resource, after=position, up_to=up_to, limit=limit)
    else:
        rows = session.rows(_ALL_AFTER, after=position, up_to=up_to, limit=limit)
    return [_event(session, row) for row in rows]


def before(
    session: Session, resource: str, position: int | None, limit: int
) -> Iterator[event_pb2.Event]:
    """Yield the events before a position (nothing: the end), latest first."""
    end = _END if position is None else position
    if resource:
        rows = session.each(_SCOPE_BEFORE, scope=resource, before=end, limit=limit)
    else:
        rows = session.each(_ALL_BEFORE, before=end, limit=limit)
    return (_event(session, row) for row in rows)


def _scopes(resources: Iterable[str]) -> frozenset[str]:
    return frozenset(scope for resource in resources for scope in lineage(resource))


def _record(leaf: bytes) -> event_pb2.EventRecord:
    return read_stored(event_pb2.EventRecord, read_stored(event_pb2.LogLeaf, leaf).event)


def _time(time_us: int) -> bytes:
    return time_us.to_bytes(8)


def _event(session: Session, row: Row) -> event_pb2.Event:
    position, stored, reason, reason_salt = row
    leaf = read_stored(event_pb2.LogLeaf, stored)
    record = read_stored(event_pb2.EventRecord, leaf.event)
    return event_pb2.Event(
        name=f"events/{position}",
        position=position,
        log_time=leaf.log_time,
        record=record,
        bodies=[
            _body(change.type, *body)
            for change, body in zip(
                record.changes, session.rows(_BODIES, position=position), strict=True
            )
        ],
        reason=reason or "",
        reason_salt=reason_salt or b"",
    )


def _body(
    type_name: str,
    before: bytes | None,
    before_salt: bytes | None,
    after: bytes | None,
    after_salt: bytes | None,
) -> event_pb2.EventBody:
    body = event_pb2.EventBody()
    url = f"type.googleapis.com/{type_name}"
    if before is not None and before_salt is not None:
        body.before.CopyFrom(AnyMessage(type_url=url, value=before))
        body.before_salt = before_salt
    if after is not None and after_salt is not None:
        body.after.CopyFrom(AnyMessage(type_url=url, value=after))
        body.after_salt = after_salt
    return body


def _sealed(change: Change) -> dict[str, bytes | None]:
    return {
        "before": change.before,
        "before_salt": None if change.before is None else os.urandom(32),
        "after": change.after,
        "after_salt": None if change.after is None else os.urandom(32),
    }


def _hash(salt: bytes | None, body: bytes | None) -> bytes:
    return commitment(salt, body) if salt is not None and body is not None else b""
