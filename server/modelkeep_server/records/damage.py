"""What was done to a database from outside, found before anything is written to it.

SQLite goes on without what is gone: it takes an empty file for a new database, and a log that was
cut off for one that was never longer. Both would pass for a registry in which less was done.

* A file may be shorter than the database only by pages that its log (`-wal`) has.
* The log's index (`-shm`) says how long the log was. It lies in the kernel's memory alone, so it is
  believed where the machine has not been started anew since, and of the very log that is there.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import apsw

from modelkeep_server.values.start import StartError

_LOG_HEADER = 32
_FRAME_HEADER = 24
_INDEX_HEADER = struct.Struct("=12x B 3x I 12x 8s 8x")
_NO_LOG = bytes(8)
_BACKFILLED = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class _Index:
    """How many pages the log has, how many of them the file has too, and which log it is of."""

    length: int = 0
    in_file: int = 0
    salt: bytes = _NO_LOG

    def tells_of_more(self, found: "_Index") -> bool:
        """Tell whether pages are gone of the log that was found, for all that this one knows."""
        is_of_another = found.salt not in (_NO_LOG, self.salt)
        return not is_of_another and found.length < self.length and self.in_file < self.length


def check_whole(database: Path, *, same_boot: bool) -> None:
    """Refuse a database of which a part is gone, and leave it as it is."""
    if not database.stat().st_size and (database.parent / "blobs").exists():
        raise _damaged(f"{database} is empty, although blobs lie beside it")
    path = Path(f"{database}-shm")
    kept = path.read_bytes() if path.exists() else b""
    connection = apsw.Connection(str(database))
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        pages = _number(connection, "page_count")
        size = _number(connection, "page_size")
        index = _read_index(path.read_bytes() if path.exists() else b"")
    finally:
        connection.close()
    before = _read_index(kept)
    if same_boot and before.tells_of_more(index):
        path.write_bytes(kept)  # else the next start would find nothing wrong
        raise _damaged(f"{database}-wal was cut off or changed")
    there = database.stat().st_size // size
    if there < pages and set(range(there + 1, pages + 1)) - _logged(database, index, size):
        raise _damaged(f"{database} was cut off: {there} of its {pages} pages are left")


def _number(connection: apsw.Connection, pragma: str) -> int:
    rows = connection.execute(f"PRAGMA {pragma}").fetchall()
    number = rows[0][0]
    assert isinstance(number, int)
    return number


def _read_index(content: bytes) -> _Index:
    """Read the header of an index, which is there twice; where they differ it was being changed."""
    size = _INDEX_HEADER.size
    if len(content) < 2 * size + _BACKFILLED.size or content[:size] != content[size : 2 * size]:
        return _Index()
    is_ready, length, salt = _INDEX_HEADER.unpack_from(content)
    (in_file,) = _BACKFILLED.unpack_from(content, 2 * size)
    return _Index(length, in_file, salt) if is_ready else _Index()


def _logged(database: Path, index: _Index, page_size: int) -> set[int]:
    """Tell which pages the log has."""
    found = set()
    with Path(f"{database}-wal").open("rb") as log:
        for frame in range(index.length):
            log.seek(_LOG_HEADER + frame * (_FRAME_HEADER + page_size))
            found.add(int.from_bytes(log.read(4), "big"))
    return found


def _damaged(what: str) -> StartError:
    return StartError(
        f"{what}; restore a backup into a new, empty folder, because going on would lose what was "
        "acknowledged"
    )
