"""Short reads on Postgres: what all that run now ask for goes out together, in one round trip.

Each runs in a greenlet until it asks for something; then the next one runs, and when none can go
on all that was asked is sent. A thread and a connection for each read would cost several times as
much as the read itself. One statement of these that takes long holds up its neighbours, so a read
that turns out not to be short is told so, and is run again where it may take its time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import Any, NoReturn, TypeAlias, TypeVar

import psycopg
from greenlet import getcurrent, greenlet
from peewee import Query

from modelkeep_server.records.batches import Batches, Job
from modelkeep_server.records.postgres_connections import (
    LOST,
    Connection,
    Watchdog,
    connect,
    unavailable,
)
from modelkeep_server.records.postgres_session import rendered
from modelkeep_server.records.sql import Row, Session, Statement
from modelkeep_server.values.hints import NotShortError

_STATEMENT = "2s"
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.05

Asked: TypeAlias = tuple[Any, Sequence[Any]]
Cursor: TypeAlias = psycopg.Cursor[Row]
T = TypeVar("T")


class ShortReads:
    """A connection of their own, and the thread that they run in."""

    def __init__(self, url: str, watchdog: Watchdog) -> None:
        """Connect when something is asked."""
        self._url = url
        self._watchdog = watchdog
        self._connection: Connection | None = None
        self._jobs = Batches("postgres-short-reads", self._end)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue a read, and answer at once what will hold its answer.

        It has `NotShortError` where it has to be run elsewhere.
        """
        return self._jobs.submit(lambda _: work())

    def close(self) -> None:
        """Finish what is queued, and let go of the connection."""
        self._jobs.close()
        self._drop()

    def _end(self, jobs: Sequence[Job]) -> None:
        asking = [reading for job in jobs if (reading := _Reading(job)).goes_on()]
        while asking:
            answers = self._answers([reading.asked for reading in asking])
            pairs = zip(asking, answers, strict=True)
            asking = [reading for reading, answer in pairs if reading.goes_on(answer)]

    def _answers(self, asked: list[Asked]) -> Sequence[Cursor | Exception]:
        """Ask all of these, again where the connection was lost."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._ask(asked)
            except LOST as lost:
                self._drop()
                if time.monotonic() > end:
                    return [_unavailable(lost) for _ in asked]
                time.sleep(_PAUSE_SECONDS)
            except Exception as fault:
                self._drop()
                return [fault] * len(asked)

    def _ask(self, asked: list[Asked]) -> Sequence[Cursor | Exception]:
        if len(asked) > 1:
            connection = self._connected()
            with (
                suppress(Exception),
                self._watchdog.watching(connection),
                connection.pipeline(),
            ):
                return [connection.execute(sql, parameters) for sql, parameters in asked]
            # psycopg takes statements for prepared that the server left out, behind the one that
            # failed.
            self._drop()
        end = time.monotonic() + _PATIENCE_SECONDS
        return [self._ask_alone(*each, end) for each in asked]

    def _ask_alone(self, sql: Any, parameters: Sequence[Any], end: float) -> Cursor | Exception:
        if time.monotonic() > end:  # many that wait long would hold up all that come
            return unavailable(psycopg.errors.QueryCanceled())
        connection = self._connected()
        try:
            with self._watchdog.watching(connection):
                return connection.execute(sql, parameters)
        except LOST as lost:
            if connection.closed:
                raise
            return _unavailable(lost)
        except Exception as error:
            return error

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, reader=True, statement=_STATEMENT)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


class _Reading(greenlet):
    """A read, and what it asks for now."""

    asked: Asked

    def __init__(self, job: Job) -> None:
        super().__init__(self._read)
        self._job = job

    def goes_on(self, answer: Cursor | Exception | None = None) -> bool:
        """Let it have an answer, and run until it asks for more; tell whether it did."""
        asked = self.throw(answer) if isinstance(answer, Exception) else self.switch(answer)
        if asked is None:
            return False
        self.asked = asked
        return True

    def _read(self, _: None) -> None:
        try:
            self._job.value = self._job.work(_SESSION)
        except BaseException as error:
            self._job.error = error


class _ShortSession:
    """Queries of one answer; for anything else a read is not short."""

    def rows(self, query: Statement | Query, **values: object) -> list[Row]:
        """Run a query, and answer all its rows."""
        return _ask(query, values).fetchall()

    def row(self, query: Statement | Query, **values: object) -> Row | None:
        """Run a query, and answer its first row."""
        return _ask(query, values).fetchone()

    def each(self, query: Statement | Query, **values: object) -> Iterator[Row]:
        """Run a query, and yield its rows."""
        yield from self.rows(query, **values)

    def one_state(self) -> AbstractContextManager[None]:
        """Refuse."""
        raise NotShortError

    def many(self, statement: Statement, values: list[dict[str, object]]) -> NoReturn:
        """Refuse."""
        raise NotShortError

    def put(self, query: Statement | Query, **values: object) -> NoReturn:
        """Refuse."""
        raise NotShortError

    def run(self, query: Statement | Query, **values: object) -> NoReturn:
        """Refuse."""
        raise NotShortError

    def insert(self, statement: Statement, **values: object) -> NoReturn:
        """Refuse."""
        raise NotShortError


_SESSION = _ShortSession()


def current_session() -> Session | None:
    """Answer the session of the short read that runs here, if one does."""
    return _SESSION if isinstance(getcurrent(), _Reading) else None


def _unavailable(error: Exception) -> Exception:
    told = unavailable(error)
    told.__cause__ = error
    return told


def _ask(query: Statement | Query, values: dict[str, object]) -> Cursor:
    here = getcurrent()
    assert here.parent is not None
    cursor: Cursor = here.parent.switch(rendered(query, values))
    return cursor
