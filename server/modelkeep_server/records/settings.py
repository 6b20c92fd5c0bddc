"""What the database knows about itself: the keys that it makes once."""

import secrets
from dataclasses import dataclass

from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Setting

_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_ADD = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))
_PUT = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")).on_conflict_ignore())

_PAGES = "page_token_key"
_PRINCIPALS = "principal_key"
_LOG = "log_key"
_REGISTRY = "registry_id"
# People's opaque ids come from their key, so a copy has the same.
_COPIED = (_PRINCIPALS, "log_floor", "log_origin")
# A move goes on with what callers hold, and with the log. No backup has what could sign for it.
_MOVED = (_PAGES, _LOG)


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of 32 bytes that never leave the registry's databases.

    Attributes:
        pages: Binds page tokens to their queries.
        principals: Turns callers' names into opaque ids.
        log: Signs the log's checkpoints: an Ed25519 private key.
    """

    pages: bytes
    principals: bytes
    log: bytes


def keys(session: Session) -> Keys:
    """Answer the keys, making them where they are new."""
    return Keys(_kept(session, _PAGES), _kept(session, _PRINCIPALS), _kept(session, _LOG))


def known_keys(session: Session) -> Keys:
    """Tell the keys as they are; empty ones where there is none."""
    names = (_PAGES, _PRINCIPALS, _LOG)
    return Keys(*(_get(session, name) or b"" for name in names))


def registry_id(session: Session, new: str | None = None) -> str:
    """Name this database to the store of its bytes, making a name where it has none.

    No copy has it: that is another registry, with a store of its own.
    """
    return _kept(session, _REGISTRY, (new or secrets.token_hex(16)).encode()).decode()


def known_registry_id(session: Session) -> str | None:
    """Tell that name, if there is one."""
    found = _get(session, _REGISTRY)
    return found.decode() if found is not None else None


def _kept(session: Session, name: str, new: bytes | None = None) -> bytes:
    """Answer what was kept under a name; where that is new, keep this, or else a secret."""
    found = _get(session, name)
    if found is None:
        found = new or secrets.token_bytes(32)
        session.put(_ADD, key=name, value=found)
    return found


def _get(session: Session, name: str) -> bytes | None:
    row = session.row(_GET, key=name)
    return bytes(row[0]) if row is not None else None


def copied_settings(session: Session, *, moves: bool) -> dict[str, bytes]:
    """Read what a copy of the database has too; more, where the registry itself moves there."""
    names = (*_COPIED, *_MOVED) if moves else _COPIED
    values = {name: _get(session, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def put_settings(session: Session, settings: dict[str, bytes]) -> None:
    """Write into a copy what was read of another."""
    for key, value in settings.items():
        session.put(_PUT, key=key, value=value)
