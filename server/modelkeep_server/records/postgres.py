"""Postgres: any number of servers on one database.

* Their writes go one after another: each server's writer takes up to 64 requests, and one lock
  that all servers share, and commits them together. So no write races another, a version's number
  and an event's position have no gaps, and an event is later than whatever was answered before.
* Nobody is answered before COMMIT, refusals included: what a refusal saw may be a
  neighbour's row.
* Where the answer to a COMMIT is lost, Postgres is asked what became of the transaction.
* Reads go beside them, each on a connection of a pool.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from modelkeep.errors import UnavailableError
from modelkeep_server.records.postgres_connections import (
    LOST,
    SILENCE_SECONDS,
    Connection,
    Watchdog,
    connect,
    cut,
    parameters,
    unavailable,
)
from modelkeep_server.records.postgres_schema import LOCK, prepare
from modelkeep_server.records.postgres_session import PooledSession, PostgresSession
from modelkeep_server.records.sql import Session
from modelkeep_server.records.writer import Job, Work, Writer, fail

CHANNEL = "modelkeep"
READERS = 16
PATIENCE_SECONDS = 15.0
"""How long a write waits for a database that can't be reached."""
_PAUSE_SECONDS = 0.1
_POOL_SECONDS = 2.0

# The transaction's number, by which it is known where the connection is lost.
_BEGIN = "BEGIN"
_LOCK = f"SELECT pg_current_xact_id()::text, pg_advisory_xact_lock({LOCK})"
_COMMIT = f"NOTIFY {CHANNEL}; COMMIT"
_OUTCOME = "SELECT pg_xact_status(%s::xid8)"

T = TypeVar("T")


class PostgresDatabase:
    """A database of a Postgres server: reads anywhere, writes through one thread."""

    is_shared = True
    """Other servers use it too, and it is reached over a network."""

    def __init__(self, url: str, silence_seconds: float = SILENCE_SECONDS) -> None:
        """Bring its schema up to date, and open it.

        A connection on which no answer comes for `silence_seconds` is taken for lost.
        """
        prepare(url)
        self._url = url
        self._watchdog = Watchdog(silence_seconds)
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=READERS,
            timeout=_POOL_SECONDS,
            kwargs={"autocommit": True, **parameters(reader=True)},
            open=True,
        )
        self._reader = PooledSession(self._pool, self._watchdog)
        self._writing: Connection | None = None
        self._listening: Connection | None = None
        self._jobs = Writer("postgres-writer", self._end, lambda: None)

    @property
    def writes_waiting(self) -> int:
        """How many writes wait for this server's next commit."""
        return self._jobs.waiting

    def read(self) -> Session:
        """Answer a session for reading what is committed; any thread may use it."""
        return self._reader

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction, and answer when it is committed.

        `work` may be run again, so it holds SQL and rules and nothing else.
        """
        return self.submit(work).result()

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue `work`, and answer at once what will hold its answer."""
        return self._jobs.submit(work)

    def wait(self, seconds: float) -> None:
        """Return when something may have been committed since the last time, or after so long.

        Raises `UnavailableError` where the database can't be reached.
        """
        try:
            if self._listening is None or self._listening.closed:
                self._listening = connect(self._url, reader=True)
                self._listening.execute(f"LISTEN {CHANNEL}")
                return
            for _ in self._listening.notifies(timeout=seconds, stop_after=1):
                pass
        except LOST as lost:
            raise unavailable(lost) from lost

    def stop_waiting(self) -> None:
        """Let who waits for commits hear that the database can't be reached."""
        if self._listening is not None:
            cut(self._listening)

    def close(self) -> None:
        """Finish what is queued, and let go of all connections."""
        self._jobs.close()
        self._pool.close()
        self._watchdog.close()
        for connection in (self._writing, self._listening):
            if connection is not None:
                connection.close()

    def _end(self, jobs: Sequence[Job]) -> None:
        """Bring these to their ends, over lost connections if need be."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._commit(jobs)
            except LOST as lost:
                self._drop()
                if time.monotonic() > end or isinstance(lost, psycopg.errors.DiskFull):
                    return fail(jobs, unavailable(lost))
                time.sleep(_PAUSE_SECONDS)
            except BaseException as fault:  # else this thread ends, and everyone waits for it
                self._drop()
                return fail(jobs, fault)

    def _commit(self, jobs: Sequence[Job]) -> None:
        """Run these in one transaction; raises where that was not committed."""
        session = PostgresSession(self._connected(), self._watchdog)
        transaction = self._begin(session)
        for job in jobs:
            if not _attempt(session, job):
                # What it wrote must go, and with it what the others did.
                session.connection.execute("ROLLBACK")
                return self._commit_each(jobs)
        try:
            with self._watchdog.watching(session.connection):
                session.connection.execute(_COMMIT)
        except LOST as lost:
            self._learn(transaction, jobs, lost)

    def _commit_each(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if len(jobs) > 1:
                self._end([job])
            # Alone it has failed for good, and nothing of it is left.

    def _begin(self, session: PostgresSession) -> str:
        with self._watchdog.watching(session.connection):
            session.connection.execute(_BEGIN)
            row = session.connection.execute(_LOCK).fetchone()
        assert row is not None
        return str(row[0])

    def _learn(self, transaction: str, jobs: Sequence[Job], lost: BaseException) -> None:
        """Ask what became of a transaction whose COMMIT was not answered; raises if it was not."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            outcome = self._outcome(transaction)
            if outcome == "committed":
                return
            if outcome == "aborted":
                raise lost
            time.sleep(_PAUSE_SECONDS)
        fail(jobs, _unknown())

    def _outcome(self, transaction: str) -> str:
        self._drop()
        with suppress(*LOST):
            row = self._connected().execute(_OUTCOME, [transaction]).fetchone()
            return str(row[0]) if row else ""
        return ""

    def _connected(self) -> Connection:
        if self._writing is None or self._writing.closed:
            self._writing = connect(self._url)
        return self._writing

    def _drop(self) -> None:
        if self._writing is not None:
            with suppress(psycopg.Error):
                self._writing.close()
        self._writing = None


def _attempt(session: PostgresSession, job: Job) -> bool:
    """Run one; answer whether the transaction can go on."""
    job.value = job.error = None
    session.has_written = False
    try:
        job.value = job.work(session)
    except LOST:
        raise
    except psycopg.Error as error:
        job.error = error
        return False
    except Exception as error:
        job.error = error
        return not session.has_written
    return True


def _unknown() -> UnavailableError:
    return UnavailableError(
        "STORAGE_UNAVAILABLE",
        "the database went away while this was written; ask again, with the same request_id, "
        "whether it was",
        retry_after_seconds=1,
    )
