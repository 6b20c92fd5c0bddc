"""The database of a running server's folder, beside that server.

SQLite lets several processes use a file at once. What is read here is one state; the little that
is written waits for the server's own writes, and they for it.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import apsw

from modelkeep_server.records import schema
from modelkeep_server.records.sql import Session
from modelkeep_server.records.sqlite import SqliteSession, connect
from modelkeep_server.records.sqlite_survey import DATABASE

_HISTORY = "SELECT name FROM schema_migration"

T = TypeVar("T")


@contextmanager
def live(path: Path) -> Iterator[SqliteSession]:
    """Read a running server's database until the end of the block."""
    with closing(_connect(path, reader=True)) as connection:
        schema.check_current({name for (name,) in connection.execute(_HISTORY)}, str(path))
        yield SqliteSession(connection)


def write(path: Path, work: Callable[[Session], T]) -> T:
    """Run `work` in a transaction."""
    with closing(_connect(path, reader=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            value = work(SqliteSession(connection))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return value


def _connect(path: Path, *, reader: bool) -> apsw.Connection:
    """Open a connection that leaves it to the server to bring the log into the file."""
    connection = connect(path / DATABASE, reader=reader)
    connection.wal_autocheckpoint(0)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection
