"""Which log this is.

Each database has its own, made with it. A restore may bring a state back from which others have
gone on, so it begins a log of another origin, and the first event says where the one before ended.
"""

import secrets

from modelkeep.v1 import event_pb2
from modelkeep_server.records.encode import message_bytes, read_stored, timestamp
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Event, Setting
from modelkeep_server.records.transaction import Transaction

RESOURCE = "log"

_KEY = "log_origin"
_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == _KEY))
_BEGIN = Statement(lambda: Setting.insert(key=_KEY, value=bind("value")).on_conflict_ignore())
_PUT = Statement(lambda: Setting.update(value=bind("value")).where(Setting.key == _KEY))
_END = Statement(
    lambda: (
        Event.select(Event.position, Event.log_us, Event.leaf_hash)
        .order_by(Event.position.desc())
        .limit(1)
    )
)


def begin(session: Session) -> None:
    """Give a new database's log its origin."""
    session.put(_BEGIN, value=message_bytes(event_pb2.LogOrigin(id=_new_id())))


def read(session: Session) -> event_pb2.LogOrigin:
    """Tell which log this is."""
    row = session.row(_GET)
    return read_stored(event_pb2.LogOrigin, bytes(row[0]) if row else b"")


def name(session: Session) -> str:
    """Name this log in what it signs."""
    return f"modelkeep.dev/logs/{read(session).id.hex()}"


def end(session: Session) -> str:
    """Name the last entry of this log: no other log has one of this name."""
    position, _, leaf_hash = session.row(_END) or (0, 0, b"")
    return f"log {read(session).id.hex()} up to {position} {bytes(leaf_hash).hex()}"


def renew(tx: Transaction) -> None:
    """Let a log of another origin begin with this event."""
    before = read(tx.session)
    position, log_us, leaf_hash = tx.session.row(_END) or (0, 0, b"")
    after = event_pb2.LogOrigin(
        id=_new_id(),
        revision=before.revision + 1,
        previous_id=before.id,
        previous_position=position,
        previous_log_time=timestamp(log_us),
        previous_leaf_hash=leaf_hash,
    )
    body = message_bytes(after)
    tx.session.put(_PUT, value=body)
    before_body = message_bytes(before) if before.revision else None
    tx.note(RESOURCE, after.revision, event_pb2.LogOrigin, before_body, body)


def _new_id() -> bytes:
    return secrets.token_bytes(16)
