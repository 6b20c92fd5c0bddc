"""A SQLite database, looked at as it is: nothing is written."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
from peewee import Query

from modelkeep_server.records.kinds import wrong_kinds
from modelkeep_server.records.sql import Row, Statement
from modelkeep_server.records.sqlite import SqliteSession, connect
from modelkeep_server.values.findings import CantTellError, UnreadableError

DATABASE = "modelkeep.db"
# Nothing is known of the database then: it could not be looked at.
_CLOSED = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.LockedError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)


_STRANGERS = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"


class SqliteSurvey(SqliteSession):
    """A session that only reads, and says in our own words that it can't."""

    def rows(self, query: Statement | Query, **values: object) -> list[Row]:
        """Run a query, and answer all its rows."""
        with told():
            return super().rows(query, **values)

    def each(self, query: Statement | Query, **values: object) -> Iterator[Row]:
        """Run a query, and yield its rows as they are read."""
        with told():
            yield from super().each(query, **values)

    def row(self, query: Statement | Query, **values: object) -> Row | None:
        """Run a query, and answer its first row."""
        with told():
            return super().row(query, **values)

    def problems(self) -> Iterator[str]:
        """Yield what SQLite itself finds wrong, and what would change or hide rows by itself."""
        with told():
            for kind, name in self.connection.execute(_STRANGERS):
                yield f"the {kind} {name} is none of modelkeep's"
            for (text,) in self.connection.execute("PRAGMA integrity_check"):
                if text != "ok":
                    yield str(text)
            for table, row, parent, _ in self.connection.execute("PRAGMA foreign_key_check"):
                yield f"row {row} of {table} refers to a row of {parent} that is not there"

    def wrong_kinds(self) -> Iterator[str]:
        """Yield the columns with values of a kind that modelkeep never writes there."""
        return wrong_kinds(self.connection)

    def interrupt(self) -> None:
        """Break off the query under way, from another thread."""
        self.connection.interrupt()


@contextmanager
def surveyed(path: Path) -> Iterator[SqliteSurvey]:
    """Look at a running server's database until the end of the block."""
    with told():
        connection = connect(path, reader=True)
    with closing(connection):
        yield SqliteSurvey(connection)


@contextmanager
def told() -> Iterator[None]:
    """Raise `CantTellError` where the database can't be looked at, `UnreadableError` where read."""
    try:
        yield
    except _CLOSED as error:
        raise CantTellError(
            f"{DATABASE} can't be opened: {error}; end what else uses it, or verify a copy of the "
            "folder that you may write"
        ) from error
    except (apsw.Error, UnicodeDecodeError) as error:
        raise UnreadableError(f"can't be read: {error}") from error
