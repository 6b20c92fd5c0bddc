"""The data folder: private, one server at a time, migrated with a copy, never of a newer one."""

import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import apsw
import pytest

from modelkeep_server.records import schema
from modelkeep_server.records.folder import DataFolder, make_for_blobs
from modelkeep_server.records.opening import open_records
from modelkeep_server.values.start import StartError

_MIGRATION = """
def up(migrator, db):
    db.execute_sql('CREATE TABLE "added" ("x" INTEGER)')
"""
_BROKEN = """
def up(migrator, db):
    db.execute_sql('CREATE TABLE "added" ("x" INTEGER)')
    db.execute_sql('INSERT INTO "nowhere" VALUES (1)')
"""


def _tables(database: Path) -> set[str]:
    with closing(apsw.Connection(str(database))) as connection:
        return {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        }


def _settings(database: Path) -> list[str]:
    with closing(apsw.Connection(str(database))) as connection:
        return [key for (key,) in connection.execute('SELECT key FROM "setting" ORDER BY key')]


def _copies(data: Path) -> list[Path]:
    return sorted(data.glob("modelkeep.db.0*"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that a server has used."""
    path = tmp_path / "data"
    with open_records(None, path, pytest.fail):
        pass
    return path


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The migrations of a modelkeep that is one ahead."""
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations)
    (migrations / "0099_added.py").write_text(_MIGRATION)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", migrations)
        yield migrations


def test_a_folder_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_records(None, tmp_path / "a" / "data", pytest.fail):
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in [tmp_path / "a" / "data", *(tmp_path / "a" / "data").iterdir()]
            }
    finally:
        os.umask(before)

    assert modes["data"] == 0o700
    assert modes["modelkeep.db"] == modes["lock"] == 0o600
    assert not any(mode & 0o077 for mode in modes.values())


def test_a_folder_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    DataFolder(tmp_path / "data").close()

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_second_server_on_a_folder_is_refused(data: Path) -> None:
    with (
        closing(DataFolder(data)),
        pytest.raises(StartError, match=rf"in use by another server \(process {os.getpid()}\)"),
    ):
        DataFolder(data)

    DataFolder(data).close()


def test_a_folder_is_free_after_a_refusal(data: Path, newer: Path) -> None:
    (newer / "0099_added.py").write_text(_BROKEN)
    with pytest.raises(StartError):
        DataFolder(data)
    (newer / "0099_added.py").write_text(_MIGRATION)

    DataFolder(data).close()


def test_a_new_folder_has_no_copy(data: Path) -> None:
    assert _copies(data) == []
    DataFolder(data).close()
    assert _copies(data) == []


def test_an_older_folder_is_migrated_after_a_copy_is_kept(data: Path, newer: Path) -> None:
    settings = _settings(data / "modelkeep.db")

    DataFolder(data).close()

    assert "added" in _tables(data / "modelkeep.db")
    assert _settings(data / "modelkeep.db") == settings
    (copy,) = _copies(data)
    assert copy.name.startswith("modelkeep.db.0002_operations.")
    assert "added" not in _tables(copy)
    assert _settings(copy) == settings
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    DataFolder(data).close()
    assert _copies(data) == [copy]


def test_a_copy_has_what_was_only_in_the_log(tmp_path: Path, newer: Path) -> None:
    (newer / "0099_added.py").rename(newer / "kept")
    path = tmp_path / "data"
    with open_records(None, path, pytest.fail):
        # As a kill leaves it: what was committed is in the -wal file alone.
        shutil.copytree(path, tmp_path / "killed")
    (newer / "kept").rename(newer / "0099_added.py")

    DataFolder(tmp_path / "killed").close()

    assert _settings(_copies(tmp_path / "killed")[0]) == [
        "log_floor",
        "log_key",
        "log_origin",
        "page_token_key",
        "principal_key",
    ]


def test_a_migration_that_fails_changes_nothing(data: Path, newer: Path) -> None:
    (newer / "0099_added.py").write_text(_BROKEN)

    with pytest.raises(StartError, match="restore a backup into a new, empty folder, or a copy"):
        DataFolder(data)

    assert "added" not in _tables(data / "modelkeep.db")
    assert _copies(data) == []


def test_a_folder_of_a_newer_modelkeep_is_refused(
    data: Path, newer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DataFolder(data).close()
    before = (data / "modelkeep.db").read_bytes()
    (newer / "0099_added.py").unlink()

    with pytest.raises(StartError, match=r"written by a newer modelkeep \(it has 0099_added\)"):
        DataFolder(data)

    assert (data / "modelkeep.db").read_bytes() == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    content = b"not a database, but long enough to be one" * 100
    (tmp_path / "modelkeep.db").write_bytes(content)

    with pytest.raises(StartError, match="can't be read as modelkeep's database"):
        DataFolder(tmp_path)

    assert (tmp_path / "modelkeep.db").read_bytes() == content


def test_keys_are_made_once(data: Path) -> None:
    def keys() -> tuple[bytes, str]:
        with open_records(None, data, pytest.fail) as records:
            return records.principal_key, records.pages.token(b"query", [1])

    assert keys() == keys()


def test_servers_that_start_together_make_one_folder(tmp_path: Path) -> None:
    for number in range(100):
        begin, folder = Barrier(4), tmp_path / str(number) / "data"

        def start(begin: Barrier = begin, folder: Path = folder) -> None:
            begin.wait()
            make_for_blobs(folder)

        with ThreadPoolExecutor(4) as servers:
            for started in [servers.submit(start) for _ in range(4)]:
                started.result()
