"""The rows of a server's database as they are, whichever kind of database that is."""

from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, cast

import apsw
import psycopg


class Stored(Protocol):
    """A server, or what is left of one: its data folder, and its database if that is elsewhere."""

    @property
    def data(self) -> Path: ...

    @property
    def database(self) -> str | None: ...


def ask(stored: Stored, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run SQL with `?` for values, and answer its rows, if it has some."""
    if stored.database is None:
        with closing(apsw.Connection(str(stored.data / "modelkeep.db"))) as connection:
            connection.set_busy_timeout(10_000)  # its server may be writing
            return connection.execute(sql, cast("Any", values)).fetchall()
    with psycopg.connect(stored.database, autocommit=True) as other:
        cursor = other.execute(sql.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []


def tables(stored: Stored) -> list[str]:
    """Name all tables."""
    if stored.database is None:
        rows = ask(stored, "SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        rows = ask(stored, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [name for (name,) in rows]
