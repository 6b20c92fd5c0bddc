"""Postgres: any number of servers on one database.

* Their writes go one after another: each server's writer takes up to 64 requests, and one lock
  that all servers share, and commits them together. So no write races another, a version's number
  and an event's position have no gaps, and an event is later than whatever was answered before.
* Nobody is answered before COMMIT, refusals included: what a refusal saw may be a
  neighbour's row.
* Where the answer to a COMMIT is lost, the database is asked whether it was made.
* Reads go beside them, each on a connection of a pool; short ones together on one.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from modelkeep.errors import UnavailableError
from modelkeep_server.records.batches import Batches, Job, Work, fail
from modelkeep_server.records.postgres_commits import Commits
from modelkeep_server.records.postgres_connections import (
    LOST,
    SILENCE_SECONDS,
    TOO_LONG,
    Connection,
    Watchdog,
    connect,
    cut,
    parameters,
    unavailable,
)
from modelkeep_server.records.postgres_schema import prepare
from modelkeep_server.records.postgres_session import PooledSession, PostgresSession
from modelkeep_server.records.postgres_short import ShortReads, current_session
from modelkeep_server.records.sql import Session

CHANNEL = "modelkeep"
READERS = 16
PATIENCE_SECONDS = 15.0
"""How long a write waits for a database that can't be reached."""
_PAUSE_SECONDS = 0.1
_POOL_SECONDS = 2.0

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
        self._commits = Commits()
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
        self._short = ShortReads(url, self._watchdog)
        self._writing: Connection | None = None
        self._listening: Connection | None = None
        self._jobs = Batches("postgres-writer", self._end)

    @property
    def writes_waiting(self) -> int:
        """How many writes wait for this server's next commit."""
        return self._jobs.waiting

    def read(self) -> Session:
        """Answer a session for reading what is committed; any thread may use it."""
        return current_session() or self._reader

    def read_together(self, work: Callable[[], T]) -> Future[T]:
        """Queue a short read, and answer at once what will hold its answer."""
        return self._short.submit(work)

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
                with self._watchdog.watching(self._listening):
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
        self._short.close()
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
        session = self._session()
        self._commits.begin(session)
        if not all(_attempt(session, job) for job in jobs):
            return self._undo(session, jobs)
        try:
            self._commits.commit(session, channel=CHANNEL)
        except TOO_LONG as late:
            jobs[0].error = unavailable(late)
            self._undo(session, jobs)
        except LOST:
            if not self._was_made(jobs):
                raise
        except psycopg.Error as error:
            # Of a write that was sent with it.
            jobs[0].error = error
            self._undo(session, jobs)

    def _undo(self, session: PostgresSession, jobs: Sequence[Job]) -> None:
        """Let what failed go, and run each alone; of one that was alone, its error stays."""
        session.roll_back()
        if len(jobs) > 1:
            for job in jobs:
                self._end([job])

    def _was_made(self, jobs: Sequence[Job]) -> bool:
        """Ask about a COMMIT that was not answered; where nobody knows, that is their error."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            self._drop()
            with suppress(*LOST):
                return self._commits.was_made(self._session())
            time.sleep(_PAUSE_SECONDS)
        fail(jobs, _unknown())
        return True

    def _session(self) -> PostgresSession:
        return PostgresSession(self._connected(), self._watchdog)

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
    except TOO_LONG as late:
        job.error = unavailable(late)
        return False
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
