"""Everything that a data folder holds, counted: to see that a refusal left nothing behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.raw import Stored, ask, tables

# Who was seen, and where bytes were sent to: no harm in these.
_NOT_COUNTED = {"principal", "scope", "sqlite_sequence"}


def footprint(server: Stored) -> dict[str, object]:
    """Tell the rows of every table, the counters of every asset, and the files of the store."""
    found: dict[str, object] = {
        table: ask(server, f'SELECT count(*) FROM "{table}"')
        for table in set(tables(server)) - _NOT_COUNTED
    }
    found["assets"] = ask(
        server,
        "SELECT id, revision, next_number, latest_number, version_count, size FROM asset"
        " ORDER BY id",
    )
    found["versions"] = ask(server, "SELECT id, revision, tail FROM version ORDER BY id")
    data = server.data
    folders = [data / "staging", *(Path(shard.path) for shard in os.scandir(data / "blobs"))]
    found["files"] = {file.name for folder in folders for file in os.scandir(folder)}
    return found


@contextmanager
def nothing_left(server: Stored) -> Iterator[None]:
    """Expect that nothing that a server keeps is there, or gone, or other than before."""
    before = footprint(server)
    yield
    after = footprint(server)
    assert {key: value for key, value in after.items() if before.get(key) != value} == {}
