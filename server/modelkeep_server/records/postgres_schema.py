"""A Postgres database at a start: is it fit, and is its schema this modelkeep's?"""

import logging
import time
from contextlib import closing

import psycopg
from peewee import DatabaseError, OperationalError
from playhouse.migrations import Runner
from playhouse.postgres_ext import Psycopg3Database
from psycopg.errors import DeadlockDetected, LockNotAvailable

from modelkeep_server.records import schema
from modelkeep_server.records.postgres_commits import LOCK, make_place
from modelkeep_server.records.postgres_connections import LOST, connect, parameters, shown
from modelkeep_server.values import postgres_url
from modelkeep_server.values.start import StartError

OLDEST = 140000

# Held by the one server that brings the schema up to date.
_TURN = "hashtext('modelkeep schema')"
_OTHERS_SECONDS = 600
# Writes, and reads of a table that is to be changed, wait behind us for so long at a time.
_TRY_SECONDS = 2
_PAUSE_SECONDS = 5.0
_READERS_SECONDS = 240.0

_log = logging.getLogger(__name__)


def prepare(url: str) -> None:
    """Refuse a database that would lose data, and bring its schema up to date.

    Of servers that start together one does that, and the others wait for it. Those that serve
    already go on, whatever else reads the database.
    """
    try:
        postgres_url.parse(url)
    except ValueError as wrong:
        raise StartError(f"the database's URL is wrong; it {wrong}") from None
    try:
        _check(url)
        _migrate(url)
        make_place(url)
    except (*LOST, DatabaseError, psycopg.Error) as error:
        why = " ".join(str(error).split())  # libpq writes several lines
        raise StartError(f"the database {shown(url)} can't be used: {why}") from error


def _check(url: str) -> None:
    with closing(connect(url)) as connection:
        version = connection.info.server_version
        if version < OLDEST:
            raise StartError(
                f"the database {shown(url)} is Postgres {version // 10000}; modelkeep needs "
                f"{OLDEST // 10000} or newer"
            )
        for setting, wanted, why in (
            ("server_encoding", {"UTF8"}, "create the database with ENCODING 'UTF8'"),
            (
                "synchronous_commit",
                {"on", "local", "remote_write", "remote_apply"},
                "set it to on, because without it a crash loses what was acknowledged",
            ),
        ):
            row = connection.execute(f"SHOW {setting}").fetchone()  # ours
            if row is None or row[0] not in wanted:
                raise StartError(
                    f"the database {shown(url)} has {setting} = {row and row[0]}; {why}"
                )


def _migrate(url: str) -> None:
    where = f"the database {shown(url)}"
    options = parameters(reader=False)
    options["options"] += f" -c lock_timeout={_OTHERS_SECONDS}s -c statement_timeout=0"
    database = Psycopg3Database(url, **options)
    with database.connection_context():
        runner = schema.runner(database)
        if not schema.is_behind(runner, where):
            return
        _take_turn(database, where)
        database.execute_sql(f"SET lock_timeout = '{_TRY_SECONDS}s'")
        end = time.monotonic() + _READERS_SECONDS
        while schema.is_behind(runner, where) and not _has_migrated(database, runner):
            if time.monotonic() > end:
                raise StartError(
                    f"{where} is being read, as by modelkeep admin backup or verify, and its "
                    "schema can't be changed meanwhile; start again once that has ended"
                )
            _log.warning("%s is being read; its schema is changed once it is not", where)
            time.sleep(_PAUSE_SECONDS)


def _take_turn(database: Psycopg3Database, where: str) -> None:
    try:
        database.execute_sql(f"SELECT pg_advisory_lock({_TURN})")
    except OperationalError as error:
        if not _is_held_up(error):
            raise
        raise StartError(
            f"another server has not yet brought {where} up to date; start again once it has"
        ) from error


def _has_migrated(database: Psycopg3Database, runner: Runner) -> bool:
    """Migrate, unless others use what is to be changed: who comes after us waits for them too."""
    try:
        database.execute_sql(f"SELECT pg_advisory_lock({LOCK})")
        try:
            runner.up()
        finally:
            database.execute_sql(f"SELECT pg_advisory_unlock({LOCK})")
    except OperationalError as error:
        if _is_held_up(error):
            return False
        raise
    return True


def _is_held_up(error: OperationalError) -> bool:
    return isinstance(error.__context__, LockNotAvailable | DeadlockDetected)
