"""Everything that a data folder holds, counted: to see that a refusal left nothing behind."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

# Who was seen, and where bytes were sent to: no harm in these.
_NOT_COUNTED = {"principal", "scope", "sqlite_sequence"}


def footprint(data: Path) -> dict[str, object]:
    """Tell the rows of every table, the counters of every asset, and the files of the store."""
    with closing(apsw.Connection(str(data / "modelkeep.db"))) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if name not in _NOT_COUNTED
        ]
        found: dict[str, object] = {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            for table in tables
        }
        found["assets"] = connection.execute(
            "SELECT id, revision, next_number, latest_number, version_count, size FROM asset"
        ).fetchall()
        found["versions"] = connection.execute("SELECT id, revision, tail FROM version").fetchall()
    folders = [data / "staging", *(Path(shard.path) for shard in os.scandir(data / "blobs"))]
    found["files"] = {file.name for folder in folders for file in os.scandir(folder)}
    return found


@contextmanager
def nothing_left(data: Path) -> Iterator[None]:
    """Expect that nothing in a data folder is there, or gone, or other than before."""
    before = footprint(data)
    yield
    after = footprint(data)
    assert {key: value for key, value in after.items() if before.get(key) != value} == {}
