"""Queries on Postgres: on one connection, or each on one of a pool."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from peewee import Query
from playhouse.postgres_ext import Psycopg3Database
from psycopg_pool import ConnectionPool

from modelkeep_server.records.postgres_connections import LOST, Connection, Watchdog, unavailable
from modelkeep_server.records.sql import Row, Statement, render

_DIALECT = Psycopg3Database(None)
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.05
_CURSORS = itertools.count()
_ROWS = 200  # that are fetched at once

T = TypeVar("T")


class PostgresSession:
    """A connection, with the queries of peewee.

    A write of which no answer is wanted goes out with the next query, so that a transaction waits
    for the network, and for its turn to run, as few times as it can.
    """

    def __init__(self, connection: Connection, watchdog: Watchdog) -> None:
        """Use this connection, from one thread at a time."""
        self.has_written = False
        self._connection = connection
        self._watchdog = watchdog
        self._unsent: list[tuple[Any, list[Any]]] = []

    def rows(self, query: Statement | Query, **values: object) -> list[Row]:
        """Run a query, and answer all its rows."""
        return self._execute(query, values).fetchall()

    def row(self, query: Statement | Query, **values: object) -> Row | None:
        """Run a query, and answer its first row."""
        return self._execute(query, values).fetchone()

    def each(self, query: Statement | Query, **values: object) -> Iterator[Row]:
        """Run a query, and yield its rows as they are read."""
        if not self._in_transaction():
            yield from self._execute(query, values)
            return
        if self._unsent:
            self.execute("SELECT 1")
        with self._connection.cursor(name=f"each_{next(_CURSORS)}") as cursor:
            with self._watchdog.watching(self._connection):
                cursor.execute(*rendered(query, values))
            while rows := self._fetched(cursor):
                yield from rows

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Let all queries of the block see the same state, whatever is committed meanwhile."""
        if self._in_transaction():  # of one who writes: nobody else does
            yield
            return
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            # A check may look at bytes between two rows.
            self.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield
        finally:
            with suppress(psycopg.Error):
                self.execute("ROLLBACK")

    def many(self, statement: Statement, values: list[dict[str, object]]) -> None:
        """Run a statement once for each set of values, with the next query."""
        if values:
            self.has_written = True
            each = [rendered(statement, one) for one in values]
            self._unsent.append((each[0][0], [parameters for _, parameters in each]))

    def put(self, query: Statement | Query, **values: object) -> None:
        """Run a write with the next query."""
        self.has_written = True
        self.send_with(*rendered(query, values))

    def run(self, query: Statement | Query, **values: object) -> int:
        """Run a write, and answer how many rows it changed."""
        self.has_written = True
        return self._execute(query, values).rowcount

    def insert(self, statement: Statement, **values: object) -> int:
        """Insert a row, and answer its id."""
        self.has_written = True
        sql, parameters = rendered(statement, values)
        row = self.execute(f'{sql} RETURNING "id"', parameters).fetchone()
        assert row is not None
        number: int = row[0]
        return number

    def send_with(self, sql: Any, parameters: Sequence[Any] = ()) -> None:
        """Run a statement with the next one, before it."""
        self._unsent.append((sql, [parameters]))

    def execute(self, sql: Any, parameters: Any = None) -> psycopg.Cursor[Row]:
        """Run a statement, behind those that were not sent yet."""
        unsent, self._unsent = self._unsent, []
        with self._watchdog.watching(self._connection):
            if not unsent:
                return self._connection.execute(sql, parameters)
            with self._connection.pipeline(), self._connection.cursor() as cursor:
                for statement, each in unsent:
                    cursor.executemany(statement, each)
                return self._connection.execute(sql, parameters)

    def roll_back(self) -> None:
        """Undo the transaction."""
        self._unsent.clear()
        self.execute("ROLLBACK")

    def _execute(self, query: Statement | Query, values: dict[str, object]) -> psycopg.Cursor[Row]:
        return self.execute(*rendered(query, values))

    def _fetched(self, cursor: "psycopg.ServerCursor[Row]") -> list[Row]:
        with self._watchdog.watching(self._connection):
            return cursor.fetchmany(_ROWS)

    def _in_transaction(self) -> bool:
        return self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE


class PooledSession:
    """Reads, each on a connection of its own, or all of a block on one. For any thread."""

    def __init__(self, pool: "ConnectionPool[Connection]", watchdog: Watchdog) -> None:
        """Read on connections of this pool."""
        self._pool = pool
        self._watchdog = watchdog
        self._pinned = threading.local()

    def rows(self, query: Statement | Query, **values: object) -> list[Row]:
        """Run a query, and answer all its rows."""
        return self._use(lambda session: session.rows(query, **values))

    def row(self, query: Statement | Query, **values: object) -> Row | None:
        """Run a query, and answer its first row."""
        return self._use(lambda session: session.row(query, **values))

    def each(self, query: Statement | Query, **values: object) -> Iterator[Row]:
        """Run a query, and yield its rows; as they are read, where a block has one state."""
        pinned: PostgresSession | None = getattr(self._pinned, "session", None)
        if pinned is not None:
            yield from pinned.each(query, **values)
        else:
            yield from self.rows(query, **values)

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Let all queries of the block see the same state, whatever is committed meanwhile."""
        if getattr(self._pinned, "session", None) is not None:
            yield
            return
        with _told(), self._pool.connection() as connection:
            session = PostgresSession(connection, self._watchdog)
            with session.one_state():
                self._pinned.session = session
                try:
                    yield
                finally:
                    self._pinned.session = None

    def many(self, statement: Statement, values: list[dict[str, object]]) -> None:
        """Refuse: this only reads."""
        for each in values:
            self.run(statement, **each)

    def put(self, query: Statement | Query, **values: object) -> None:
        """Refuse: this only reads."""
        self.run(query, **values)

    def run(self, query: Statement | Query, **values: object) -> int:
        """Refuse: this only reads."""
        return self._use(lambda session: session.run(query, **values))

    def insert(self, statement: Statement, **values: object) -> int:
        """Refuse: this only reads."""
        return self._use(lambda session: session.insert(statement, **values))

    def _use(self, query: Callable[[PostgresSession], T]) -> T:
        """Run a query, again where its connection was lost."""
        pinned: PostgresSession | None = getattr(self._pinned, "session", None)
        if pinned is not None:
            return query(pinned)
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                with self._pool.connection() as connection:
                    return query(PostgresSession(connection, self._watchdog))
            except LOST as lost:
                if time.monotonic() > end:
                    raise unavailable(lost) from lost
                time.sleep(_PAUSE_SECONDS)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except LOST as lost:
        raise unavailable(lost) from lost


def rendered(query: Statement | Query, values: dict[str, object]) -> tuple[Any, Any]:
    """Tell a query's SQL and its parameters."""
    if isinstance(query, Statement):
        return query.render(_DIALECT, values)
    return render(_DIALECT, query)
