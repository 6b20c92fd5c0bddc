"""Everything that a data folder holds, counted: to see that a refusal left nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.raw import Stored, ask, tables

# Who was seen, where bytes were sent to, and what each minute is kept of the log's tree: no harm.
_NOT_COUNTED = {"principal", "scope", "sqlite_sequence", "log_node"}


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
    # Where the bytes are elsewhere, the folder has none.
    folders = [data / "staging", *(data / "blobs").glob("*")] if data.is_dir() else []
    found["files"] = {file.name for folder in folders for file in folder.glob("*")}
    return found


@contextmanager
def nothing_left(server: Stored) -> Iterator[None]:
    """Expect that nothing that a server keeps is there, or gone, or other than before."""
    before = footprint(server)
    yield
    after = footprint(server)
    assert {key: value for key, value in after.items() if before.get(key) != value} == {}
