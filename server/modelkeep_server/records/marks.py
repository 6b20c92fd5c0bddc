"""What a database says of itself that keeps servers off it.

* `arriving`: what is being copied into it, and is not all there.
* `arrived`: what was copied into it, so that copying it again does nothing.
* `moved`: the registry lives elsewhere now; two that live on would both give out the next version.
* `moved_wholly`: all of it is there, and may be used.
"""

import json
from dataclasses import asdict, dataclass
from enum import Enum

from peewee import Query

from modelkeep_server.records.copying import is_empty
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Setting
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.start import StartError

ARRIVING = "arriving"
ARRIVED = "arrived"
MOVED = "moved"
MOVED_WHOLLY = "moved_wholly"

_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_PUT = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))
_DROP = Statement(lambda: Setting.delete().where(Setting.key == bind("key")))


def check_served(session: Session) -> None:
    """Refuse to serve a registry that is not all here, or not here any more."""
    if _get(session, ARRIVING):
        raise StartError(
            "a restore or a move into this place was cut short, and not all is here; repeat that "
            "command, which goes on where it was"
        )
    if moved := _get(session, MOVED):
        raise StartError(
            f"this registry was moved to {moved}, or is being moved; serve it there. If it stays "
            "here after all: modelkeep admin migrate-store --give-up"
        )


@dataclass(frozen=True, slots=True)
class Copy:
    """What is copied into a place.

    Attributes:
        what: The state that it is, such as no other copy has.
        store: The store of its bytes there, as people know it.
        backup: The backup that it is of, if it is of one.
    """

    what: str
    store: str
    backup: str | None = None


class Arrival(Enum):
    """How far something is that is copied into a place."""

    NOT_BEGUN = 0
    BEGUN = 1
    DONE = 2


def arrival(session: Session, copy: Copy, where: str) -> Arrival:
    """Tell how far it is, or refuse a place that has something else."""
    done, begun = _copy(session, ARRIVED), _copy(session, ARRIVING)
    if begun and begun.what != copy.what:
        raise MoveError(
            f"{where} has a part of something else that was being copied there; give a new, empty "
            "place"
        )
    there = begun or (done if done and done.what == copy.what else None)
    if there and there.store != copy.store:
        raise MoveError(
            f"this copy into {where} was begun with its bytes in {there.store}, not in "
            f"{copy.store}; give the same place as then"
        )
    if there is None and not is_empty(session):
        raise MoveError(f"{where} has a registry already; give a new, empty place")
    if begun:
        return Arrival.BEGUN
    return Arrival.DONE if there else Arrival.NOT_BEGUN


def begin_arriving(session: Session, copy: Copy, where: str) -> None:
    """Take a place for what is copied there, or go on."""
    if arrival(session, copy, where) is Arrival.NOT_BEGUN:
        session.put(_PUT, key=ARRIVING, value=json.dumps(asdict(copy)).encode())


def backup_begun(session: Session) -> str | None:
    """Tell which backup is being copied into a place, if one is."""
    begun = _copy(session, ARRIVING)
    return begun.backup if begun else None


def end_arriving(session: Session) -> None:
    """Say that all is there."""
    session.put(_PUT, key=ARRIVED, value=_get(session, ARRIVING).encode())
    session.put(_DROP, key=ARRIVING)


def check_here(session: Session) -> None:
    """Refuse to back up a registry that lives elsewhere now, or is on its way there."""
    if moved := _get(session, MOVED):
        raise MoveError(
            f"this registry was moved to {moved}, or is being moved; back it up there. If it stays "
            "here after all: modelkeep admin migrate-store --give-up"
        )


def begin_move(session: Session, where: str, to: str) -> bool:
    """Keep servers off a registry that is being moved; answer whether they were not before."""
    there = _get(session, MOVED)
    if there and there != to:
        raise MoveError(
            f"{where} is being moved to {there}, or was; go on with that, or give it up with "
            "--give-up"
        )
    if not there:
        session.run(_DROP, key=MOVED_WHOLLY)
        session.put(_PUT, key=MOVED, value=to.encode())
    return not there


def moved() -> Query:
    """Ask, as a part of another query, where it was moved to, if it was."""
    moves = Setting.alias()
    return moves.select(moves.value).where(moves.key == MOVED)


def end_move(session: Session, to: str) -> None:
    """Say that all of it is where it was moved to; refuse where that was given up meanwhile."""
    if _get(session, MOVED) != to:
        raise MoveError(f"the move to {to} was given up; give another place to move it after all")
    if not _get(session, MOVED_WHOLLY):
        session.put(_PUT, key=MOVED_WHOLLY, value=b"1")


def give_up_move(session: Session, *, finished: bool) -> bool:
    """Let servers serve it again; answer whether they could not.

    Refuses where it was moved wholly, unless that is meant.
    """
    if _get(session, MOVED_WHOLLY) and not finished:
        raise MoveError(
            f"all of it was moved to {_get(session, MOVED)}, and may have been used there since; "
            "what was made there is not here. Where that is to be given up all the same: "
            "--give-up --force"
        )
    session.run(_DROP, key=MOVED_WHOLLY)
    return session.run(_DROP, key=MOVED) > 0


def _copy(session: Session, key: str) -> Copy | None:
    there = _get(session, key)
    return Copy(**json.loads(there)) if there else None


def _get(session: Session, key: str) -> str:
    row = session.row(_GET, key=key)
    return bytes(row[0]).decode() if row else ""
