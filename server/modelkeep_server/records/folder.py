"""The data folder: one server at a time, private, and never of a newer modelkeep.

`modelkeep.db` is the database; `blobs/` and `staging/` are the blob store's; `lock` is held
while a server runs.
"""

import fcntl
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw
from peewee import DatabaseError
from playhouse.apsw_ext import APSWDatabase

from modelkeep_server.records import schema
from modelkeep_server.records.damage import check_whole
from modelkeep_server.values.start import StartError

_NOT_WRITABLE = (apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError)

_LAYOUT = re.compile(
    r"lock|lost\+found|blobs|staging|registry|modelkeep\.db(-wal|-shm|-journal)?"
    r"|modelkeep\.db\.\d{4}_\w+\.\d{8}T\d{6}\.\d{6}Z"
)


class DataFolder:
    """A data folder that is locked, and whose schema is this modelkeep's."""

    def __init__(self, path: Path) -> None:
        """Make the folder where it is new, lock it and migrate its database."""
        _make(path)
        self.database = path / "modelkeep.db"
        self._lock, same_boot = _lock(path)
        try:
            migrate(self.database, same_boot)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)


def make_for_blobs(path: Path) -> None:
    """Make a folder for the blobs of a database that is elsewhere, or refuse one for other things.

    Any number of servers may use it.
    """
    if path.is_dir() and (path / "modelkeep.db").exists():
        raise StartError(
            f"the data folder {path} has a database of its own; for the blobs of another give a "
            "new, empty folder with --data"
        )
    _make(path, has_database=False)


class _MigratedDatabase(APSWDatabase):
    """peewee's migrations note a `datetime`, which apsw does not take as it is."""

    def _add_conn_hooks(self, connection: apsw.Connection) -> None:
        super()._add_conn_hooks(connection)
        connection.convert_binding = lambda _cursor, _number, value: str(value)


def strangers(path: Path) -> list[str]:
    """Tell what lies in a data folder and is no part of it, by name."""
    return [name for name in sorted(os.listdir(path)) if not _LAYOUT.fullmatch(name)]


def _make(path: Path, *, has_database: bool = True) -> None:
    """Make a folder that survives a power cut, or refuse one that is somebody else's."""
    if path.exists() and not path.is_dir():
        raise StartError(f"the data folder {path} is no folder; choose another with --data")
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        # Another server of the same database may make it at the same time.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"the data folder {path} can't be made: {error.strerror}; choose another with --data"
        ) from error
    for folder in made:
        sync_folder(folder.parent)
    _check_owner(path)
    _check_content(path, has_database)
    path.chmod(0o700)


def _check_owner(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        raise StartError(
            f"the data folder {path} belongs to another user; choose another with --data"
        )


def _check_content(path: Path, has_database: bool) -> None:
    there = set(os.listdir(path)) - {"lost+found"}
    if not has_database:
        # Made by a server of the same database, or not yet.
        there -= {"blobs", "staging", "registry"}
    if "registry" in there and "modelkeep.db" not in there:
        raise StartError(
            f"{path} has the blobs of a registry whose database is elsewhere; name that with "
            "--database"
        )
    if "blobs" in there and "modelkeep.db" not in there:
        raise StartError(
            f"{path} has blobs and no modelkeep.db; restore a backup into a new, empty folder, or "
            "give such a folder with --data"
        )
    # The lock is made first, so it may stand alone after a start that was cut short.
    if there - {"lock"} and "modelkeep.db" not in there:
        raise StartError(
            f"{path} holds other things than modelkeep's data; give a new or empty folder"
        )


def sync_folder(folder: Path) -> None:
    """Make durable which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> tuple[int, bool]:
    """Lock the folder; tell too whether who had it before ran on this machine since its start."""
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        process, _ = holder(lock)
        os.close(lock)
        raise StartError(
            f"the data folder {path} is in use by another server (process {process}); stop that "
            "one, or give this one a folder of its own with --data"
        ) from None
    same_boot = held_since_boot(lock)
    os.truncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n{_boot()}\n".encode(), 0)
    return lock, same_boot


def holder(lock: int) -> tuple[str, str]:
    """Tell who has or had a folder's lock: a process, and the run of the machine it was in."""
    process, _, boot = os.pread(lock, 256, 0).decode(errors="replace").partition("\n")
    return process.strip(), boot.strip()


def held_since_boot(lock: int) -> bool:
    """Tell whether who had a folder's lock last ran on this machine since its start."""
    boot = _boot()
    return bool(boot) and holder(lock)[1] == boot


def _boot() -> str:
    """Name this run of the machine; empty where it has no name."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def migrate(database: Path, same_boot: bool) -> None:
    """Bring the schema up to date, after keeping a copy of a database that is older."""
    old = database.exists()
    if not old:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = _MigratedDatabase(str(database))
    try:
        check_whole(database, same_boot=same_boot)
        runner = schema.runner(connection)
        if schema.is_behind(runner, f"the data folder {database.parent}"):
            applied = set(runner.applied())
            copy = _keep_copy(database, max(applied)) if applied else None
            try:
                runner.up()
            except BaseException:
                # Where nothing was changed, the copy would only pile up at each try.
                if copy is not None and set(runner.applied()) == applied:
                    copy.unlink()
                raise
    except (apsw.Error, DatabaseError) as error:
        raise unusable(database, error) from error
    finally:
        connection.close()


def _keep_copy(database: Path, last: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = database.with_name(f"{database.name}.{last}.{stamp}")
    connection = apsw.Connection(str(database))
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
    copy.chmod(0o600)
    return copy


def unusable(database: Path, error: Exception) -> StartError:
    """Say why a database can't be used, and what to do."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, apsw.Error):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, apsw.FullError):
        return StartError(f"{database}: its disk is full; make room, and start again")
    if isinstance(cause, (apsw.BusyError, apsw.LockedError)):
        return StartError(f"{database} is held by another program; end that, and start again")
    if isinstance(cause, _NOT_WRITABLE):
        return StartError(
            f"{database} can't be read or written: {cause}; see that its disk works and has room, "
            "and that this user may write there"
        )
    return StartError(
        f"{database} can't be read as modelkeep's database: {error}; restore a backup into "
        "a new, empty folder, or a copy kept beside it"
    )
