"""SQLite: connections, and the one thread that writes.

* Readers run where they are called, each thread on a connection of its own.
* Writers queue for one thread, which commits up to 64 of them at once: a savepoint each, so
  that one that fails takes nothing with it, and one fsync for all.
* Nobody is answered before COMMIT, refusals included: what a refusal saw may be a
  neighbour's row.
* After a failed COMMIT nothing is known: everyone is answered UNAVAILABLE, and the store stops.
* SQLite passes over some syncs that fail: of the folder that names the log (`-wal`), and of the
  file when the log is brought into it. These are done here, so that they stop the store too.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw
from peewee import Query, SqliteDatabase
from playhouse.apsw_ext import APSWDatabase

from modelkeep.errors import (
    Error,
    ResourceExhaustedError,
    UnavailableError,
)
from modelkeep_server.records.batches import Batches, Job, Work, fail
from modelkeep_server.records.folder import sync_folder, unusable
from modelkeep_server.records.sql import Row, Session, Statement, render
from modelkeep_server.values.start import StartError

LOG_PAGES = 1000
"""How long the log gets before it is brought into the file; SQLite's own default."""
BUSY_MILLISECONDS = 10_000
# Below this, a bug can corrupt the database when the log is reset.
OLDEST_SQLITE = (3, 51, 3)

T = TypeVar("T")

_DIALECT: SqliteDatabase = APSWDatabase(None)


class SqliteSession:
    """A connection, with the queries of peewee."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Use this connection, from one thread at a time."""
        self.connection = connection

    def rows(self, query: Statement | Query, **values: object) -> list[Row]:
        """Run a query, and answer all its rows."""
        return self.connection.execute(*_sql(query, values)).fetchall()

    def each(self, query: Statement | Query, **values: object) -> Iterator[Row]:
        """Run a query, and yield its rows as they are read."""
        yield from self.connection.execute(*_sql(query, values))

    def row(self, query: Statement | Query, **values: object) -> Row | None:
        """Run a query, and answer its first row."""
        return self.connection.execute(*_sql(query, values)).fetchone()

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Let all queries of the block see the same state, whatever is committed meanwhile."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            _rollback(self.connection)  # it only reads; after an error it may be over already

    def many(self, statement: Statement, values: list[dict[str, object]]) -> None:
        """Run a statement once for each set of values."""
        if values:
            sql = statement.render(_DIALECT, values[0])[0]
            self.connection.executemany(sql, [statement.render(_DIALECT, v)[1] for v in values])

    def put(self, query: Statement | Query, **values: object) -> None:
        """Run a write."""
        self.connection.execute(*_sql(query, values))

    def run(self, query: Statement | Query, **values: object) -> int:
        """Run a write, and answer how many rows it changed."""
        self.connection.execute(*_sql(query, values))
        return self.connection.changes()

    def insert(self, statement: Statement, **values: object) -> int:
        """Insert a row, and answer its id."""
        self.connection.execute(*_sql(statement, values))
        return self.connection.last_insert_rowid()


def _sql(query: Statement | Query, values: dict[str, object]) -> tuple[str, Any]:
    if isinstance(query, Statement):
        return query.render(_DIALECT, values)
    return render(_DIALECT, query)


class SqliteDatabaseFile:
    """A database in a file: reads anywhere, writes through one thread."""

    is_shared = False
    read_together = None

    def __init__(self, path: Path, on_failure: Callable[[str], None]) -> None:
        """Open the file; `on_failure` is told once why nothing can be written any more."""
        check_library()
        self._path = path
        self._on_failure = on_failure
        self._local = threading.local()
        self._readers: list[apsw.Connection] = []
        self._readers_lock = threading.Lock()
        try:
            self._writer = connect(path)
            self._log_pages = 0
            self._begin_log(path)
        except apsw.Error as error:
            raise unusable(path, error) from error
        self._failure: Error | None = None
        self._jobs = Batches("sqlite-writer", self._end, self._shorten_log)

    @property
    def writes_waiting(self) -> int:
        """How many writes wait for this server's next commit."""
        return self._jobs.waiting

    def read(self) -> Session:
        """Answer this thread's reading session."""
        session: SqliteSession | None = getattr(self._local, "session", None)
        if session is None:
            session = SqliteSession(connect(self._path, reader=True))
            self._local.session = session
            with self._readers_lock:
                self._readers.append(session.connection)
        return session

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction, and answer when it is committed.

        `work` may be run again, so it holds SQL and rules and nothing else.
        """
        return self.submit(work).result()

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue `work`, and answer at once what will hold its answer."""
        return self._jobs.submit(work)

    def close(self) -> None:
        """Finish what is queued, and close the file."""
        self._jobs.close()
        for connection in [*self._readers, self._writer]:
            connection.close()

    def _end(self, jobs: Sequence[Job]) -> None:
        try:
            self._commit(SqliteSession(self._writer), jobs)
        except BaseException as fault:  # else this thread ends, and everyone waits for it
            self._stop(fault)
            fail(jobs, self._failure)

    def _commit(self, session: SqliteSession, jobs: Sequence[Job]) -> None:
        """Run these to their ends; on return each has a value or an error that is final."""
        if self._failure is not None:
            return fail(jobs, self._failure)
        try:
            session.connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            return fail(jobs, _busy(error))
        except apsw.Error as error:
            self._stop(error)
            return fail(jobs, self._failure)
        try:
            for job in jobs:
                if not self._attempt(session.connection, session, job):
                    # The transaction is gone, and with it what the others had done.
                    return self._commit(session, [other for other in jobs if other is not job])
            session.connection.execute("COMMIT")
        except apsw.FullError as error:
            _rollback(session.connection)
            if len(jobs) == 1:
                return fail(jobs, _full(error))
            for job in jobs:
                self._commit(session, [job])
        except apsw.Error as error:
            self._stop(error)
            fail(jobs, self._failure)
            _rollback(session.connection)

    def _attempt(self, connection: apsw.Connection, session: Session, job: Job) -> bool:
        """Run one in its savepoint; answer whether the transaction still lives."""
        job.value = job.error = None
        try:
            connection.execute("SAVEPOINT job")
            job.value = job.work(session)
            connection.execute("RELEASE job")
        except apsw.FullError as error:
            job.error = _full(error)
        except (apsw.IOError, apsw.CorruptError, apsw.NotADBError):
            raise
        except Exception as error:
            job.error = error
        if not connection.in_transaction:
            return False
        if job.error is not None:
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
        return True

    def _begin_log(self, path: Path) -> None:
        """Start with an empty log that is there after a power cut.

        What an earlier server's log has may be readable and yet not on the disk: its sync failed.
        SQLite syncs it as the connection of the migrations closes, and passes over a failure.
        In the file it is written, and synced, anew.
        """
        self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        sync_folder(path.parent)
        self._writer.set_wal_hook(self._note_log)

    def _note_log(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _shorten_log(self) -> None:
        if self._log_pages < LOG_PAGES or self._failure is not None:
            return
        try:
            self._writer.wal_checkpoint()
        except (apsw.BusyError, apsw.FullError):
            return  # nothing is lost: the log grows until there is room
        except apsw.Error as error:
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        if self._failure is not None:
            return
        self._failure = UnavailableError(
            "STORAGE_FAILED",
            "the database failed, so the server stops; whether this write was made is known "
            "after its restart",
        )
        self._failure.__cause__ = error
        self._on_failure(f"the database failed: {error}")


def connect(path: Path, *, reader: bool = False) -> apsw.Connection:
    """Open a connection with the settings that what we promise rests on."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    # Otherwise a kept statement is compiled again each time that it is bound: 9 of a get's 13 µs.
    # So no plan may need a bound value, as a partial index on one or LIKE does.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    # With NORMAL a power cut loses what was acknowledged.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = {-1_000 if reader else -16_000}")
    if reader:
        connection.execute("PRAGMA query_only = ON")
    return connection


def check_library() -> None:
    """Refuse a SQLite that can lose data."""
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StartError(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt its log; modelkeep needs {oldest} "
            "or newer: install a newer apsw",
        )


def _rollback(connection: apsw.Connection) -> None:
    # Where even that fails, SQLite rolls back when the file is opened next.
    with suppress(apsw.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _busy(error: apsw.Error) -> UnavailableError:
    busy = UnavailableError(
        "STORAGE_BUSY",
        "another program holds the server's database; nothing was changed, try again",
        retry_after_seconds=1,
    )
    busy.__cause__ = error
    return busy


def _full(error: apsw.Error) -> ResourceExhaustedError:
    full = ResourceExhaustedError(
        "STORAGE_FULL", "the server's disk is full; nothing was changed", retry_after_seconds=60
    )
    full.__cause__ = error
    return full
