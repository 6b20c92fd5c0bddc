"""The schema's versions: `migrations/`, run by peewee's runner on every kind of database."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from peewee import Database, Model, PostgresqlDatabase, TextField
from playhouse.migrations import Migration, Runner

from modelkeep_server.values.findings import CantTellError, OlderError
from modelkeep_server.values.start import StartError

MIGRATIONS = Path(__file__).with_name("migrations")


def runner(database: Database) -> Runner:
    """Give what runs the migrations on a database."""
    return Runner(database, str(MIGRATIONS))


def is_behind(made: Runner, where: str) -> bool:
    """Tell whether migrations are to be run; refuse the schema of a newer modelkeep."""
    known = {migration.name for migration in made.migrations()}
    applied = set(made.applied())
    if unknown := sorted(applied - known):
        raise StartError(
            f"{where} was written by a newer modelkeep (it has {', '.join(unknown)}); start that "
            "one, or restore what was kept of before"
        )
    return bool(known - applied)


def check_current(applied: set[str], where: str) -> None:
    """Refuse to look at a database of another schema; `OlderError` where it could be brought up."""
    known = {one.name for one in Migration.load_directory(str(MIGRATIONS))}
    if newer := sorted(applied - known):
        raise CantTellError(
            f"{where} was written by a newer modelkeep (it has {', '.join(newer)}); do it with "
            "that one"
        )
    if known - applied:
        raise OlderError(
            f"{where} is of an older modelkeep, or was never started; do it with that one, or "
            "start and stop this one's server on it, which brings it up to date"
        )


def create_tables(database: Database, tables: Sequence[type[Model]]) -> None:
    """Make the new tables of a migration, whatever the database.

    On Postgres they have rows' ids all the same, and compare texts by their bytes, as SQLite does
    by itself.
    """
    is_postgres = isinstance(database, PostgresqlDatabase)
    with database.bind_ctx(tables):
        for table in tables:
            table._meta.without_rowid &= not is_postgres
        database.create_tables(tables)
    if is_postgres:
        _compare_by_bytes(database, tables)


def _compare_by_bytes(database: Database, tables: Iterable[type[Model]]) -> None:
    for table in tables:
        for field in table._meta.sorted_fields:
            if isinstance(field, TextField):
                database.execute_sql(  # type: ignore[no-untyped-call]
                    f'ALTER TABLE "{table._meta.table_name}" '
                    f'ALTER COLUMN "{field.column_name}" TYPE TEXT COLLATE "C"'
                )
