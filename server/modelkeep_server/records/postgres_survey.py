"""A Postgres database, looked at as it is: nothing is migrated, and nothing written.

Servers may go on beside it; what is to be one state is read in `one_state`.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg
from psycopg.errors import DataCorrupted, IndexCorrupted

from modelkeep_server.records import schema
from modelkeep_server.records.postgres_connections import (
    LOST,
    Connection,
    Watchdog,
    connect,
    shown,
    unavailable,
)
from modelkeep_server.records.postgres_session import PostgresSession
from modelkeep_server.values.findings import CantTellError, UnreadableError

# A check of all rows of a table is one statement.
_SILENCE_SECONDS = 3600.0
# Postgres takes a moment to let go of one that has left.
_LEAVING_SECONDS = 3.0
_CANCEL_SECONDS = 5.0
_PATIENT = "SET statement_timeout = 0"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_HISTORY = "SELECT name FROM schema_migration"
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
_STRANGERS = """
SELECT 'trigger', tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'view', viewname FROM pg_views WHERE schemaname = current_schema()
UNION ALL SELECT 'rule', rulename FROM pg_rules WHERE schemaname = current_schema()
"""
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'modelkeep' AND pid <> pg_backend_pid()
"""


class PostgresSurvey(PostgresSession):
    """A session that only reads, however long a query takes."""

    def problems(self) -> Iterator[str]:
        """Yield what Postgres itself knows to be wrong, and what would change or hide rows."""
        for kind, name in self.execute(_STRANGERS):
            yield f"the {kind} {name} is none of modelkeep's"
        for (index,) in self.execute(_INVALID):
            yield f"the index {index} is not valid"

    def wrong_kinds(self) -> Iterator[str]:
        """Yield nothing: a column of Postgres has values of its kind only."""
        return iter(())

    def interrupt(self) -> None:
        """Break off the query under way, from another thread."""
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)


@contextmanager
def surveyed(url: str) -> Iterator[PostgresSurvey]:
    """Look at a database until the end of the block, or raise `CantTellError`.

    Raises `UnreadableError` where Postgres finds that its files are damaged.
    """
    try:
        connection = connect(url, reader=True)
    except (*LOST, psycopg.Error) as error:
        raise CantTellError(f"the database {shown(url)} can't be reached: {error}") from error
    with closing(connection), closing(Watchdog(_SILENCE_SECONDS)) as watchdog:
        connection.execute(_PATIENT)
        _check_schema(connection, shown(url))
        try:
            yield PostgresSurvey(connection, watchdog)
        except (DataCorrupted, IndexCorrupted) as error:
            raise UnreadableError(f"can't be read: {error}") from error
        except LOST as lost:
            raise unavailable(lost) from lost


def is_used(url: str) -> bool:
    """Tell whether a server is connected to a database, and stays so."""
    end = time.monotonic() + _LEAVING_SECONDS
    with closing(connect(url, reader=True)) as connection:
        while _others(connection):
            if time.monotonic() > end:
                return True
            time.sleep(0.05)
    return False


def _others(connection: Connection) -> int:
    row = connection.execute(_OTHERS).fetchone()
    return row[0] if row else 0


def _check_schema(connection: Connection, where: str) -> None:
    tables = {name for (name,) in connection.execute(_TABLES)}
    if "schema_migration" not in tables:
        raise CantTellError(f"the database {where} is none of modelkeep's")
    schema.check_current({name for (name,) in connection.execute(_HISTORY)}, where)
