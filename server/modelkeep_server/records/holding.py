"""What holds collection off: while a copy of the records is made, their bytes must stay.

A hold ends by itself, so that one whose process died keeps nobody up for long. Its end is a time of
one clock, that of a database which several machines use: theirs may differ by more than it lasts.

Whoever is about to remove bytes looks for holds after it has read which are to go. A hold that it
did not see is younger than that reading, and so is what was copied under it, where no row names
those bytes any more.
"""

from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Setting

HOLD_US = 600 * 1_000_000
"""How long a hold lasts that nobody renews, in microseconds."""

_PREFIX = "collection_hold/"
_OURS = (Setting.key > _PREFIX) & (Setting.key < "collection_hold0")
_ALL = Statement(lambda: Setting.select(Setting.key, Setting.value).where(_OURS))
_PUT = Statement(
    lambda: Setting.insert(key=bind("key"), value=bind("value")).on_conflict(
        conflict_target=(Setting.key,), update={Setting.value: bind("value")}
    )
)
_DROP = Statement(lambda: Setting.delete().where(Setting.key == bind("key")))


def hold(session: Session, name: str, now_us: int) -> None:
    """Hold collection off from now on, or longer; forget the holds that ended."""
    for key, value in session.rows(_ALL):
        if int.from_bytes(value) <= now_us:
            session.put(_DROP, key=key)
    session.put(_PUT, key=_PREFIX + name, value=(now_us + HOLD_US).to_bytes(8))


def release(session: Session, name: str) -> None:
    """End a hold."""
    session.put(_DROP, key=_PREFIX + name)


def is_held(session: Session, now_us: int) -> bool:
    """Tell whether no bytes may be removed now."""
    # One that would last longer than any was made by a clock that has been set back since.
    return any(
        now_us < int.from_bytes(value) <= now_us + 2 * HOLD_US for _, value in session.rows(_ALL)
    )
