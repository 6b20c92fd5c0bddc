"""A Postgres database at a start: is it fit, and is its schema this modelkeep's?"""

from contextlib import closing

import psycopg
from peewee import DatabaseError
from playhouse.postgres_ext import Psycopg3Database

from modelkeep_server.records import schema
from modelkeep_server.records.postgres_commits import LOCK, make_place
from modelkeep_server.records.postgres_connections import LOST, connect, parameters, shown
from modelkeep_server.values.start import StartError

OLDEST = 140000


def prepare(url: str) -> None:
    """Refuse a database that would lose data, and bring its schema up to date.

    Of servers that start together one does that, and the others wait for it.
    """
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
    options = parameters(reader=False)
    # Waiting for another server's migration takes as long as that does.
    options["options"] += " -c lock_timeout=0 -c statement_timeout=0"
    database = Psycopg3Database(url, **options)
    with database.connection_context():
        database.execute_sql(f"SELECT pg_advisory_lock({LOCK})")
        runner = schema.runner(database)
        if schema.is_behind(runner, f"the database {shown(url)}"):
            runner.up()
