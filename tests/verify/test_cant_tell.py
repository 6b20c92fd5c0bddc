"""What can't be checked is told apart from what is damaged, with what to do."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.running import run_server
from tests.services.processes import serving
from tests.verify.conftest import Verified, Verify, edit

from modelkeep_server.records import schema


def _check(verified: Verified, *words: str) -> None:
    assert (verified.code, verified.report) == (3, {})
    assert verified.problem.count("\n") == 1
    for word in ("modelkeep admin verify: ", *words):
        assert word in verified.problem


def test_a_running_servers_folder(tmp_path: Path, verify: Verify) -> None:
    with run_server(tmp_path / "data"):
        verified = verify(tmp_path / "data")

    _check(verified, f"a server (process {os.getpid()}) is running", "stop it, then repeat")


def test_a_newer_modelkeeps_folder(data: Path, verify: Verify) -> None:
    edit(data, "INSERT INTO schema_migration (name, applied) VALUES ('0099_more', '')")

    _check(verify(data), "newer modelkeep (it has 0099_more)", "with that one")


def test_an_older_modelkeeps_folder_which_is_not_migrated(
    data: Path, tmp_path: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(schema.MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "migrations" / "0099_more.py").write_text("def up(migrator, db): 1 / 0")
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path / "migrations")
    before = (data / "modelkeep.db").read_bytes()

    _check(verify(data), "of an older modelkeep", "start and stop this one's server")
    assert (data / "modelkeep.db").read_bytes() == before


def test_a_folder_that_a_start_was_cut_short_in(tmp_path: Path, verify: Verify) -> None:
    (tmp_path / "modelkeep.db").touch()

    _check(verify(tmp_path), "older modelkeep, or was never started", "start and stop")


def test_a_folder_that_is_not_there(tmp_path: Path, verify: Verify) -> None:
    _check(verify(tmp_path / "none"), f"there is no folder {tmp_path / 'none'}")
    assert not (tmp_path / "none").exists()


def test_a_file(tmp_path: Path, verify: Verify) -> None:
    (tmp_path / "file").touch()

    _check(verify(tmp_path / "file"), "can't be read", "name a server's data folder")


def test_somebody_elses_folder(tmp_path: Path, verify: Verify) -> None:
    (tmp_path / "thesis.txt").touch()

    _check(verify(tmp_path), "none of modelkeep's data folders")
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_somebody_elses_database(tmp_path: Path, verify: Verify) -> None:
    with closing(sqlite3.connect(tmp_path / "modelkeep.db")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")

    _check(verify(tmp_path), "database of something else")


_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT COUNT(*) FROM event").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


def test_a_database_that_another_program_is_using(tmp_path: Path, verify: Verify) -> None:
    with serving(tmp_path / "data") as server:
        server.kill()
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "data" / "modelkeep.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        verified = verify(tmp_path / "data")
        program.communicate()

    _check(verified, "can't be opened", "end what else uses it")


def test_a_database_that_is_a_folder(tmp_path: Path, verify: Verify) -> None:
    (tmp_path / "modelkeep.db").mkdir()

    _check(verify(tmp_path), "none of modelkeep's data folders", "modelkeep.db is no file")
