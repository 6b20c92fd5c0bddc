"""A registry as a whole is copied: backed up, restored, moved to other kinds of storage.

* A backup is one state of a registry, however busy that is, and exists once it is whole.
* A restore, and a move, goes into an empty place; no server starts there before all is there.
  What was cut short goes on when it is asked for again.
* A restore begins a log of another origin. A move does not: it is the same registry, which is not
  served where it was any more.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from modelkeep.errors import Error
from modelkeep_server import backups
from modelkeep_server.blobs import BlobFiles, BlobReader, BlobStore, open_files, open_store
from modelkeep_server.domain import ownership
from modelkeep_server.domain.keeping import Write, kept
from modelkeep_server.domain.moving import Stores, Tell, copy_blobs
from modelkeep_server.domain.verify import verify
from modelkeep_server.records import copying, live, marks, origin, settings
from modelkeep_server.records.database import Database, Inspected
from modelkeep_server.records.folder import DataFolder, make_for_blobs, migrate
from modelkeep_server.records.marks import Arrival, Copy
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.postgres_connections import shown as named
from modelkeep_server.records.postgres_survey import is_used, surveyed
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.sqlite import SqliteDatabaseFile
from modelkeep_server.records.sqlite_survey import DATABASE
from modelkeep_server.records.stopped import stopped
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import SYSTEM
from modelkeep_server.values.findings import CantTellError, Damage, InUseError, UnreadableError
from modelkeep_server.values.moves import Copied, MoveError
from modelkeep_server.values.place import Place
from modelkeep_server.values.start import StartError

REFUSALS = (CantTellError, Error, MoveError, StartError, UnreadableError)
"""What is said in one line, and was not done."""

_LEFT_SECONDS = 24 * 3600

__all__ = ["REFUSALS", "Copied", "Place", "backup", "give_up", "move", "restore", "shown"]


@dataclass(frozen=True, slots=True)
class _Target:
    """An opened place that something is copied to."""

    database: Database
    store: BlobStore
    files: BlobFiles
    name: str
    place: Place


def backup(source: Place, where: str, tell: Tell) -> tuple[str, Copied]:
    """Back a registry up, whether or not servers go on with it; answer the backup's name."""
    to, _ = backups.open_place(where)
    if to.is_within(source):
        raise MoveError("backups can't be in the registry's own place; give one apart")
    if to.files.owner() is not None:
        raise MoveError(f"{to.shown()} is the store of a registry; give a place apart")
    files = _files(source)
    with to.making() as folder, _source(source) as session:
        marks.check_here(session)
        ownership.check(session, files, source.store_name)
        migrate(folder / DATABASE, same_boot=False)
        with closing(SqliteDatabaseFile(folder / DATABASE, _ignore)) as made:
            copying.copy(session, made, moves=False)
            _sweep(to.store)
            copied = copy_blobs(made.read(), Stores(files, to.store, to.files), tell)
        return to.shown(to.publish(folder)), copied


def restore(where: str, target: Place, tell: Tell) -> Copied:
    """Make a registry of a backup, in an empty place."""
    with _target(target) as to:
        begun = marks.backup_begun(to.database.read())
        with backups.opened(where, default=begun) as backup:
            session = backup.database
            _check(session, backup.files)
            copy = Copy(origin.end(session), target.store_name, backup.name)
            copied = _carry(session, backup.files, to, copy, tell, moves=False)
        if copied is None:
            return Copied()
        Records(to.database).change(SYSTEM, "log.restored", _restored)
        return copied


def move(source: Place, target: Place, tell: Tell) -> Copied:
    """Move a registry, whose servers are stopped, to an empty place; it stays as it was, unused."""
    files = _files(source)
    _check_unused(source)  # before its mark keeps those that serve it from writing
    with _opened(source) as session:
        ownership.check(session, files, source.store_name)
        _check(session, files)
        copy = Copy(origin.end(session), target.store_name)
    with _target(target) as to:
        _look(copy, to)  # before anything is changed
        _mark_moved(source, to.name)
        with _opened(source) as session:
            copy = replace(copy, what=origin.end(session))
            copied = _carry(session, files, to, copy, tell, moves=True)
        # In this order: from the second on the other place may be used.
        _note(source, partial(marks.end_move, to=to.name))
        if copied is not None:
            to.database.write(marks.end_arriving)
        return copied or Copied()


def give_up(source: Place, *, finished: bool) -> bool:
    """Let servers use a registry again that was moved; answer whether they could not.

    A move that is `finished` is only given up where that is meant: the other place may be in use.
    """
    give_up = partial(marks.give_up_move, finished=finished)
    with _used(source) as database:
        return database.write(give_up)


def shown(place: Place) -> str:
    """Name a place as may be seen by anyone."""
    records = _name(place)
    return f"{records} and {place.store_name}" if place.is_apart else records


def _carry(
    session: Session, files: BlobReader, to: _Target, copy: Copy, tell: Tell, *, moves: bool
) -> Copied | None:
    """Copy all but the end, which lets servers start; nothing where it was copied before."""
    arrival = _look(copy, to)
    if arrival is Arrival.DONE:
        return None
    if arrival is Arrival.NOT_BEGUN:
        _begin(copy, to)
    copied = copy_blobs(session, Stores(files, to.store, to.files), tell)
    copying.copy(session, to.database, moves=moves)
    return copied


def _look(copy: Copy, to: _Target) -> Arrival:
    """Tell how far a copy is, or refuse a place that has something else."""
    arrival = marks.arrival(to.database.read(), copy, to.name)
    if arrival is Arrival.NOT_BEGUN:
        ownership.check_for_copy(_id(copy, to), to.files, copy.store)
    return arrival


def _begin(copy: Copy, to: _Target) -> None:
    """Take a place, so that nothing else comes there."""
    mine = _id(copy, to)
    if to.place.is_apart:
        ownership.claim_for_copy(mine, to.store, copy.store)

    def begin(session: Session) -> None:
        marks.begin_arriving(session, copy, to.name)
        if to.place.is_apart:
            settings.registry_id(session, mine)

    to.database.write(begin)


def _id(copy: Copy, to: _Target) -> str:
    """Name a copy: it has this name too when it is begun again, after a crash in between."""
    named = f"{copy.what} {to.name} {copy.store}"
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def _restored(tx: Transaction) -> bytes:
    origin.renew(tx)
    marks.end_arriving(tx.session)
    return b""


def _check(session: Inspected, files: BlobFiles) -> None:
    """Refuse to copy what is damaged; bytes are checked on the way."""
    for found in verify(session, files, read_data=False, checked=Counter()):
        if isinstance(found, Damage) and found.what != "stranger":
            raise MoveError(
                f"it is damaged: {found.what} {found.resource}: {found.text}; modelkeep admin "
                "verify tells all"
            )


def _mark_moved(source: Place, to: str) -> None:
    """Keep servers off a registry, and refuse to while one is there."""
    with _used(source) as database:
        is_new = database.write(partial(marks.begin_move, where=_name(source), to=to))
    try:
        _check_unused(source)  # one may have come meanwhile
    except MoveError:
        if is_new:
            give_up(source, finished=False)
        raise


def _note(source: Place, work: Callable[[Session], None]) -> None:
    with _used(source) as database:
        database.write(work)


def _check_unused(source: Place) -> None:
    if source.database is not None and is_used(source.database):
        raise MoveError(f"{_name(source)} is in use; stop all its servers, then repeat")


def _sweep(store: BlobStore) -> None:
    """Drop the parts that backups left which were cut short for good."""
    for key in store.staged_keys(time.time() - _LEFT_SECONDS):
        store.remove_staged(key)


@contextmanager
def _source(place: Place) -> Iterator[Session]:
    """Read a registry that may be in use; none of its bytes are removed meanwhile."""
    with ExitStack() as parts:
        if place.database is not None:
            found = parts.enter_context(surveyed(place.database))
            other = parts.enter_context(closing(PostgresDatabase(place.database)))
            parts.enter_context(kept(other.write, is_shared=True))
            yield found
            return
        try:
            session: Session = parts.enter_context(stopped(place.data))
        except InUseError:
            write: Write = partial(live.write, place.data)
            parts.enter_context(kept(write, is_shared=False))
            session = parts.enter_context(live.live(place.data))
        yield session


@contextmanager
def _opened(place: Place) -> Iterator[Inspected]:
    """Read one state of a registry that nobody uses.

    One who was cut off, and does not know that, may still send bytes: a row without them must not
    be copied. And in one state rows are read as they are wanted, not all of a table at once.
    """
    opening = stopped(place.data) if place.database is None else surveyed(place.database)
    with opening as session, session.one_state():
        yield session


@contextmanager
def _target(place: Place) -> Iterator[_Target]:
    with _used(place) as database:
        if place.database is not None and place.blobs is None:
            make_for_blobs(place.data)
        store = open_store(place.blobs, place.keys, place.data, _ignore, used=False)
        yield _Target(database, store, _files(place), _name(place), place)


@contextmanager
def _used(place: Place) -> Iterator[Database]:
    """Open a place's database as a server would."""
    with ExitStack() as parts:
        if place.database is not None:
            yield parts.enter_context(closing(PostgresDatabase(place.database)))
            return
        folder = parts.enter_context(closing(DataFolder(place.data)))
        yield parts.enter_context(closing(SqliteDatabaseFile(folder.database, _ignore)))


def _files(place: Place) -> BlobFiles:
    return open_files(place.blobs, place.keys, place.data)


def _name(place: Place) -> str:
    """Name where a place's records are, as may be seen by anyone."""
    return str(place.data.absolute()) if place.database is None else named(place.database)


def _ignore(_why: str) -> None:
    """Do nothing more: what failed is raised where it was asked for."""
