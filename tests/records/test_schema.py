"""The migrations and `tables.py` say the same."""

import inspect
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from peewee import SqliteDatabase

from modelkeep_server.records import tables
from modelkeep_server.records.folder import DataFolder
from modelkeep_server.records.tables import TABLES, Table


def _shape(database: Path) -> dict[str, Any]:
    """Tell a database's tables with their columns, keys and indexes, whatever their SQL."""
    found: dict[str, Any] = {}
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for name, sql in rows:
            indexes = connection.execute(f'PRAGMA index_list("{name}")').fetchall()
            found[name] = {
                "columns": connection.execute(f'PRAGMA table_info("{name}")').fetchall(),
                "keys": sorted(
                    row[2:] for row in connection.execute(f'PRAGMA foreign_key_list("{name}")')
                ),
                "indexes": sorted(
                    (index, unique, partial, *connection.execute(f'PRAGMA index_info("{index}")'))
                    for _, index, unique, _, partial in indexes
                ),
                "without_rowid": "WITHOUT ROWID" in sql.upper(),
            }
    return found


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    folder = DataFolder(tmp_path / "data")
    folder.close()
    return folder.database


@pytest.fixture
def modelled(tmp_path: Path) -> Path:
    path = tmp_path / "modelled.db"
    database = SqliteDatabase(str(path))
    with database.bind_ctx(TABLES):
        database.create_tables(TABLES)
    database.close()
    return path


def test_the_migrated_schema_is_that_of_the_tables(migrated: Path, modelled: Path) -> None:
    made, wanted = _shape(migrated), _shape(modelled)
    # peewee's own list of what was migrated.
    extra = set(made) - set(wanted)
    assert len(extra) == 1
    assert {name: made[name] for name in wanted} == wanted


def test_every_table_is_listed() -> None:
    defined = {
        value
        for value in vars(tables).values()
        if inspect.isclass(value) and issubclass(value, Table) and value is not Table
    }

    assert defined == set(TABLES)


def test_a_new_database_is_sound(migrated: Path) -> None:
    with closing(sqlite3.connect(migrated)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
