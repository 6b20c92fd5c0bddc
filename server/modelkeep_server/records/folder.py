"""The data folder: one server at a time, private, and never of a newer modelkeep.

`modelkeep.db` is the database; `blobs/` and `staging/` are the blob store's; `lock` is held
while a server runs.
"""

import fcntl
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import apsw
from peewee import DatabaseError
from playhouse.apsw_ext import APSWDatabase
from playhouse.migrations import Runner

from modelkeep_server.values.start import StartError

MIGRATIONS = Path(__file__).with_name("migrations")

_LAYOUT = re.compile(
    r"lock|lost\+found|blobs|staging|modelkeep\.db(-wal|-shm|-journal)?"
    r"|modelkeep\.db\.\d{4}_\w+\.\d{8}T\d{6}\.\d{6}Z"
)


class DataFolder:
    """A data folder that is locked, and whose schema is this modelkeep's."""

    def __init__(self, path: Path) -> None:
        """Make the folder where it is new, lock it and migrate its database."""
        _make(path)
        self.database = path / "modelkeep.db"
        self._lock = _lock(path)
        try:
            _migrate(self.database)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)


class _MigratedDatabase(APSWDatabase):
    """peewee's migrations note a `datetime`, which apsw does not take as it is."""

    def _add_conn_hooks(self, connection: apsw.Connection) -> None:
        super()._add_conn_hooks(connection)
        connection.convert_binding = lambda _cursor, _number, value: str(value)


def strangers(path: Path) -> list[str]:
    """Tell what lies in a data folder and is no part of it, by name."""
    return [name for name in sorted(os.listdir(path)) if not _LAYOUT.fullmatch(name)]


def _make(path: Path) -> None:
    """Make a folder that survives a power cut, or refuse one that is somebody else's."""
    if path.is_dir():
        _check_ours(path)
    elif path.exists():
        raise StartError(f"the data folder {path} is no folder; choose another with --data")
    else:
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise StartError(
                f"the data folder {path} can't be made: {error.strerror}; choose another with "
                "--data"
            ) from error
        for folder in made:
            sync_folder(folder.parent)
    path.chmod(0o700)


def _check_ours(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        raise StartError(
            f"the data folder {path} belongs to another user; choose another with --data"
        )
    there = set(os.listdir(path)) - {"lost+found"}
    # The lock is made first, so it may stand alone after a start that was cut short.
    if there - {"lock"} and "modelkeep.db" not in there:
        raise StartError(
            f"{path} holds other things than modelkeep's data; give a new or empty folder with "
            "--data"
        )


def sync_folder(folder: Path) -> None:
    """Make durable which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise StartError(
            f"the data folder {path} is in use by another server (process {holder}); stop that "
            "one, or give this one a folder of its own with --data"
        ) from None
    os.truncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _migrate(database: Path) -> None:
    """Bring the schema up to date, after keeping a copy of a database that is older."""
    old = database.exists()
    if not old:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = _MigratedDatabase(str(database))
    try:
        runner = Runner(connection, str(MIGRATIONS))
        known = {migration.name for migration in runner.migrations()}
        applied = set(runner.applied())
        if unknown := sorted(applied - known):
            raise StartError(
                f"the data folder {database.parent} was written by a newer modelkeep (it has "
                f"{', '.join(unknown)}); start that one, or restore the copy kept beside it"
            )
        if known - applied:
            copy = _keep_copy(database, max(applied)) if applied else None
            try:
                runner.up()
            except BaseException:
                # Where nothing was changed, the copy would only pile up at each try.
                if copy is not None and set(runner.applied()) == applied:
                    copy.unlink()
                raise
    except (apsw.Error, DatabaseError) as error:
        raise _unreadable(database, error) from error
    finally:
        connection.close()


def _keep_copy(database: Path, schema: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = database.with_name(f"{database.name}.{schema}.{stamp}")
    connection = apsw.Connection(str(database))
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
    copy.chmod(0o600)
    return copy


def _unreadable(database: Path, error: Exception) -> StartError:
    return StartError(
        f"{database} can't be read as modelkeep's database: {error}; restore it from a backup "
        "or from a copy kept beside it"
    )
