"""What the database knows about itself: the keys that it makes once."""

import secrets
from dataclasses import dataclass

from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Setting

_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_ADD = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of 32 bytes that never leave the database.

    Attributes:
        pages: Binds page tokens to their queries.
        principals: Turns callers' names into opaque ids.
    """

    pages: bytes
    principals: bytes


def keys(session: Session) -> Keys:
    """Answer the keys, making them where they are new."""
    return Keys(_key(session, "page_token_key"), _key(session, "principal_key"))


def _key(session: Session, name: str) -> bytes:
    row = session.row(_GET, key=name)
    if row is not None:
        return bytes(row[0])
    value = secrets.token_bytes(32)
    session.run(_ADD, key=name, value=value)
    return value
