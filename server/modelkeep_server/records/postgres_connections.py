"""Connections to Postgres: their settings, what their errors mean, and an end to silence.

* A connection that was lost is replaced; what had not been committed by then is done again.
* A statement that is not answered at all, as where the network swallows packets, ends with its
  connection, so that no thread waits for ever.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from modelkeep.errors import Error, ResourceExhaustedError, UnavailableError

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

LOST = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,  # of a server that another has taken over from
    PoolTimeout,
)
"""The connection or the server is gone, or will not do it now; nothing was committed."""

TOO_LONG = (psycopg.errors.QueryCanceled,)
"""A statement took longer than it may; the connection is good."""

SILENCE_SECONDS = 20.0
"""How long an answer may take."""
_CONNECT_SECONDS = 5
_SETTINGS = {
    "application_name": "modelkeep",
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    # One that is stopped in the middle must not hold everybody up.
    "idle_in_transaction_session_timeout": "5s",
    "client_encoding": "UTF8",
    "timezone": "UTC",
}


def connect(url: str, *, reader: bool = False, statement: str | None = None) -> Connection:
    """Open a connection with the settings that what we promise rests on.

    A statement may take, or wait for a lock, as long as `statement` says, such as `2s`.
    """
    return psycopg.connect(url, autocommit=True, **parameters(reader=reader, statement=statement))


def parameters(*, reader: bool, statement: str | None = None) -> dict[str, Any]:
    """Tell how connections are opened, beside the URL."""
    settings = _SETTINGS | ({"default_transaction_read_only": "on"} if reader else {})
    if statement:
        settings |= {"statement_timeout": statement, "lock_timeout": statement}
    return {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }


def shown(url: str) -> str:
    """Name a database as may be seen by anyone: without user and password."""
    parts = conninfo_to_dict(url)
    host = parts.get("host") or os.environ.get("PGHOST", "")
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"


def unavailable(error: BaseException) -> Error:
    """Say that the database can't be had now; nothing was changed."""
    if isinstance(error, psycopg.errors.DiskFull):
        return ResourceExhaustedError(
            "STORAGE_FULL",
            "the database's disk is full; nothing was changed",
            retry_after_seconds=60,
        )
    if isinstance(error, (*TOO_LONG, psycopg.errors.LockNotAvailable)):
        return UnavailableError(
            "STORAGE_BUSY",
            "the database took too long; nothing was changed, try again",
            retry_after_seconds=1,
        )
    return UnavailableError(
        "STORAGE_UNAVAILABLE",
        "the database can't be reached; nothing was changed, try again",
        retry_after_seconds=1,
    )


class Watchdog:
    """Cuts the connections whose server has not answered for too long."""

    def __init__(self, seconds: float) -> None:
        """Look after connections that are `watched`."""
        self._seconds = seconds
        self._since: dict[Connection, float] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="postgres-watchdog", daemon=True).start()

    def close(self) -> None:
        """Look after none any more."""
        self._closed.set()

    @contextmanager
    def watching(self, connection: Connection) -> Iterator[None]:
        """Give the block, which waits for one answer, so much time."""
        self._since[connection] = time.monotonic()
        try:
            yield
        finally:
            self._since.pop(connection, None)

    def _run(self) -> None:
        while not self._closed.wait(self._seconds / 20):
            late = time.monotonic() - self._seconds
            for connection, since in list(self._since.items()):
                if since < late:
                    cut(connection)


def cut(connection: Connection) -> None:
    """End a connection that another thread is using."""
    # The descriptor stays psycopg's, which hears of the end as of any other.
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)
