"""A stopped server's database, read without changing a byte of its folder.

* The folder's lock is shared meanwhile, so no server starts on it.
* What only the write-ahead log has is read too, and stays where it is.
* Nothing is migrated: a folder of another schema is refused.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from modelkeep_server.records import folder, schema
from modelkeep_server.records.damage import log_is_cut, read_index
from modelkeep_server.records.sqlite_survey import DATABASE, SqliteSurvey, told
from modelkeep_server.values.findings import CantTellError, InUseError, UnreadableError

_HISTORY = "SELECT name FROM schema_migration"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


@contextmanager
def stopped(path: Path) -> Iterator[SqliteSurvey]:
    """Open a folder's database until the end of the block, or raise `CantTellError`.

    Raises `UnreadableError` where its own first pages can't be read, or a part of it is gone.
    """
    _check_ours(path)
    with _unused(path) as same_boot:
        index = read_index(path / DATABASE)
        with closing(_open(path / DATABASE)) as connection:
            if same_boot:
                _check_log(path, connection, index)
            _check_schema(path, connection)
            yield SqliteSurvey(connection)


def _check_ours(path: Path) -> None:
    try:
        there = set(os.listdir(path))
    except FileNotFoundError:
        raise CantTellError(f"there is no folder {path}; name a server's data folder") from None
    except OSError as error:
        raise CantTellError(
            f"{path} can't be read: {error.strerror}; name a server's data folder, as the user "
            "whose it is"
        ) from None
    if (path / DATABASE).is_file():
        return
    what = "is no file" if DATABASE in there else "is missing"
    if "blobs" in there:
        raise UnreadableError(f"{what}, although blobs lie beside it")
    raise CantTellError(f"{path} is none of modelkeep's data folders ({DATABASE} {what}); name one")


@contextmanager
def _unused(path: Path) -> Iterator[bool]:
    """Hold the folder's lock as a reader, if it has one: a copy may be without.

    Yields whether who had it last ran on this machine since its start.
    """
    try:
        lock = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    except OSError as error:
        raise CantTellError(f"{path / 'lock'} can't be read: {error.strerror}") from None
    try:
        _share(path, lock)
        yield folder.held_since_boot(lock)
    finally:
        os.close(lock)


def _share(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        process, _ = folder.holder(lock)
        raise InUseError(
            f"a server (process {process}) is running on {path}; stop it, then repeat"
        ) from None


def _open(database: Path) -> apsw.Connection:
    if _has(database, "-journal"):
        raise CantTellError(
            f"a first start or an upgrade was cut short ({database.name}-journal lies there); "
            "start and stop this modelkeep's server on the folder, which takes that back"
        )
    with told():
        if _has(database, "-wal"):
            return _open_with_log(database)
        # A plain connection would make files beside it, and leave them.
        uri = f"{database.absolute().as_uri()}?immutable=1"
        return apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _has(database: Path, end: str) -> bool:
    """Tell whether what was under way lies beside the database: its server was killed."""
    beside = database.with_name(f"{database.name}{end}")
    return beside.exists() and beside.stat().st_size > 0


def _open_with_log(database: Path) -> apsw.Connection:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    # In exclusive mode the log's index is in memory, and so no file; and without the checkpoint
    # at the end the log stays.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    connection.execute("PRAGMA query_only = ON")
    return connection


def _check_log(path: Path, connection: apsw.Connection, index: bytes) -> None:
    with told():
        is_cut = log_is_cut(connection, path / DATABASE, index)
    if is_cut:
        raise UnreadableError(
            "lacks the end of its log: modelkeep.db-wal was cut off, changed or removed, and what "
            "was acknowledged last is gone"
        )


def _check_schema(path: Path, connection: apsw.Connection) -> None:
    with told():
        tables = {name for (name,) in connection.execute(_TABLES)}
        ours = "schema_migration" in tables
        applied = {name for (name,) in connection.execute(_HISTORY)} if ours else set()
    if not tables and (path / "blobs").exists():
        raise UnreadableError("is empty, although blobs lie beside it")
    if tables and not ours:
        raise CantTellError(f"{path / DATABASE} is a database of something else than modelkeep")
    schema.check_current(applied, str(path))
