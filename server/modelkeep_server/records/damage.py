"""What was done to a database from outside, found before anything is written to it.

SQLite goes on without what is gone: it takes an empty file for a new database, and a log that was
cut off for one that was never longer. Both would pass for a registry in which less was done.

* A file may be shorter than the database only by pages that its log (`-wal`) has.
* The log's index (`-shm`) says how long the log was. It is never synced, so it is
  believed where the machine has not been started anew since, and of the very log that is there.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import apsw

from modelkeep_server.values.start import StartError

_LOG_HEADER = 32
_SALT = slice(16, 24)
_FRAME_HEADER = 24
_INDEX_HEADER = struct.Struct("=12x B 3x I 12x 8s 8x")
_NO_LOG = bytes(8)
_BACKFILLED = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class _Log:
    """How many pages a log has, how many of them the file has too, and which log it is."""

    length: int = 0
    in_file: int = 0
    salt: bytes = _NO_LOG

    def tells_of_more(self, found: "_Log") -> bool:
        """Tell whether pages are gone of the log that was found, for all that this one knows."""
        is_of_another = found.salt not in (_NO_LOG, self.salt)
        return not is_of_another and found.length < self.length and self.in_file < self.length


def check_whole(database: Path, *, same_boot: bool) -> None:
    """Refuse a database of which a part is gone, and leave it as it is."""
    if not database.stat().st_size and (database.parent / "blobs").exists():
        raise _damaged(f"{database} is empty, although blobs lie beside it")
    kept = read_index(database)
    connection = apsw.Connection(str(database))
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        pages = _number(connection, "page_count")
        size = _number(connection, "page_size")
        log = _read_log(connection, database)
    finally:
        connection.close()
    if same_boot and _parse_index(kept).tells_of_more(log):
        _index_path(database).write_bytes(kept)  # else the next start would find nothing wrong
        raise _damaged(f"{database}-wal was cut off or changed")
    there = database.stat().st_size // size
    if there < pages and set(range(there + 1, pages + 1)) - _logged(database, log.length, size):
        raise _damaged(f"{database} was cut off: {there} of its {pages} pages are left")


def read_index(database: Path) -> bytes:
    """Read the index of a database's log as its last user left it, before anyone opens it again."""
    path = _index_path(database)
    return path.read_bytes() if path.exists() else b""


def log_is_cut(connection: apsw.Connection, database: Path, index: bytes) -> bool:
    """Tell whether pages are gone of the log of an open database, for all that its index knows."""
    return _parse_index(index).tells_of_more(_read_log(connection, database))


def _index_path(database: Path) -> Path:
    return Path(f"{database}-shm")


def _read_log(connection: apsw.Connection, database: Path) -> _Log:
    """Tell how much of a log is good."""
    _number(connection, "page_count")  # so that SQLite looks at the log
    length, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    if length <= 0:
        return _Log()
    with Path(f"{database}-wal").open("rb") as log:
        return _Log(length, salt=log.read(_LOG_HEADER)[_SALT])


def _number(connection: apsw.Connection, pragma: str) -> int:
    rows = connection.execute(f"PRAGMA {pragma}").fetchall()
    number = rows[0][0]
    assert isinstance(number, int)
    return number


def _parse_index(content: bytes) -> _Log:
    """Read the header of an index, which is there twice; where they differ it was being changed."""
    size = _INDEX_HEADER.size
    if len(content) < 2 * size + _BACKFILLED.size or content[:size] != content[size : 2 * size]:
        return _Log()
    is_ready, length, salt = _INDEX_HEADER.unpack_from(content)
    (in_file,) = _BACKFILLED.unpack_from(content, 2 * size)
    return _Log(length, in_file, salt) if is_ready else _Log()


def _logged(database: Path, length: int, page_size: int) -> set[int]:
    """Tell which pages the log has."""
    found = set()
    with Path(f"{database}-wal").open("rb") as log:
        for frame in range(length):
            log.seek(_LOG_HEADER + frame * (_FRAME_HEADER + page_size))
            found.add(int.from_bytes(log.read(4), "big"))
    return found


def _damaged(what: str) -> StartError:
    return StartError(
        f"{what}; restore a backup into a new, empty folder, because going on would lose what was "
        "acknowledged"
    )
