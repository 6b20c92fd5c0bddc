"""A data folder that was damaged from outside: a server refuses it, and says what to do.

Going on would pass for a registry in which less was done.
"""

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from tests.faults.folders import FILES, build_or_refuse, refusal, started
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import download, refused

from modelkeep.v1 import version_service_pb2 as versions
from modelkeep_server.records import sqlite

VERSIONS = 5
PAGE = 4096


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders with the like content: of a server that was `stopped`, and one `killed`."""
    top = tmp_path_factory.mktemp("folders")
    for name, end in (("killed", ServerProcess.kill), ("stopped", ServerProcess.stop)):
        with serving(top / name) as server:
            with registry_of(server) as registry:
                for _ in range(VERSIONS):
                    registry.create(files=FILES)
            end(server)
    return top


@pytest.fixture
def stopped(folders: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folders / "stopped", tmp_path / "stopped")


@pytest.fixture
def killed(folders: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folders / "killed", tmp_path / "killed")


def test_a_folder_of_a_server_that_was_killed_is_whole(killed: Path) -> None:
    assert os.path.getsize(killed / "modelkeep.db-wal")
    with started(killed) as registry:
        assert registry.numbers() == list(range(VERSIONS, 0, -1))
        assert download(registry, registry.version(1), *FILES) == list(FILES.values())


@pytest.mark.parametrize(
    ("state", "share"),
    # Of one that was killed, the log may have the last pages: then nothing is lost.
    [*(("stopped", share) for share in (0.0, 0.001, 0.5, 0.99)), ("killed", 0.0), ("killed", 0.5)],
)
def test_a_database_that_was_cut_off_is_refused(
    folders: Path, tmp_path: Path, state: str, share: float
) -> None:
    data = shutil.copytree(folders / state, tmp_path / "data")
    size = os.path.getsize(data / "modelkeep.db")
    os.truncate(data / "modelkeep.db", int(size * share))

    assert "restore" in refusal(data)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.99])
def test_a_log_that_was_cut_off_is_refused_at_every_start(killed: Path, share: float) -> None:
    size = os.path.getsize(killed / "modelkeep.db-wal")
    os.truncate(killed / "modelkeep.db-wal", int(size * share))

    assert refusal(killed) == refusal(killed)
    assert "modelkeep.db-wal was cut off" in refusal(killed)


def test_a_log_that_is_gone_or_changed_is_refused(killed: Path) -> None:
    log = killed / "modelkeep.db-wal"
    whole = log.read_bytes()
    log.unlink()
    assert "modelkeep.db-wal was cut off" in refusal(killed)
    log.write_bytes(whole[:-5000] + bytes([whole[-5000] ^ 1]) + whole[-4999:])
    assert "modelkeep.db-wal was cut off or changed" in refusal(killed)


def test_after_the_machine_was_started_anew_a_cut_log_is_an_earlier_registry(killed: Path) -> None:
    size = os.path.getsize(killed / "modelkeep.db-wal")
    os.truncate(killed / "modelkeep.db-wal", size * 9 // 10)
    (killed / "lock").write_text("1\nanother-run-of-the-machine\n")

    with started(killed) as registry:
        count = len(registry.numbers())
        assert 0 < count < VERSIONS
        assert registry.get_asset().version_count == count
        assert download(registry, registry.version(count), *FILES) == list(FILES.values())


@pytest.mark.parametrize("name", ["modelkeep.db", "blobs", "blobs/00"])
def test_a_folder_of_which_a_part_is_gone_is_refused(stopped: Path, name: str) -> None:
    path = stopped / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    said = refusal(stopped)
    assert name in said
    assert "restore a backup into a new, empty" in said


def test_a_row_that_is_no_message_is_told_as_damage(stopped: Path) -> None:
    with closing(apsw.Connection(str(stopped / "modelkeep.db"))) as database:
        database.execute("UPDATE version SET base = ? WHERE number = 1", (b"\xff" * 40,))

    with started(stopped) as registry:
        request = versions.RestoreVersionRequest(name=registry.version(1))
        with refused("DATA_LOSS", "RECORD_DAMAGED"):
            registry.versions.RestoreVersion(request)
        with refused("DATA_LOSS", "RECORD_DAMAGED"):
            registry.get(1)
        assert registry.get(2).number == 2
        assert registry.create(files=FILES).number == VERSIONS + 1


@pytest.mark.parametrize("start", [0, 4096])
def test_garbage_in_the_database_is_refused(stopped: Path, start: int) -> None:
    whole = (stopped / "modelkeep.db").read_bytes()
    garbage = os.urandom(len(whole) - start)
    (stopped / "modelkeep.db").write_bytes(whole[:start] + garbage)

    assert "restore a backup into a new, empty folder" in refusal(stopped)


def test_damage_to_any_page_is_refused_in_one_line_or_does_not_keep_it_from_starting(
    stopped: Path, tmp_path: Path
) -> None:
    whole = (stopped / "modelkeep.db").read_bytes()
    refused = 0
    for start in range(0, len(whole), PAGE):
        garbage = os.urandom(PAGE)
        damaged = whole[:start] + garbage + whole[start + PAGE :]
        (stopped / "modelkeep.db").write_bytes(damaged)
        said = build_or_refuse(stopped)
        refused += bool(said)
        assert said == "" or "restore a backup into a new, empty folder" in said
    assert refused


def test_a_backup_in_a_new_folder_serves_after_a_refusal(
    folders: Path, killed: Path, tmp_path: Path
) -> None:
    os.truncate(killed / "modelkeep.db-wal", 100)
    assert "restore a backup into a new, empty folder" in refusal(killed)

    shutil.copytree(folders / "stopped", tmp_path / "new")

    with started(tmp_path / "new") as registry:
        assert registry.numbers() == list(range(VERSIONS, 0, -1))


def test_an_index_of_an_earlier_log_says_nothing(killed: Path) -> None:
    index = (killed / "modelkeep.db-shm").read_bytes()
    with serving(killed) as server:
        server.stop()
    with serving(killed) as server:
        with registry_of(server) as registry:
            registry.create()
        server.kill()
    (killed / "modelkeep.db-shm").write_bytes(index)

    with started(killed) as registry:
        assert registry.numbers() == list(range(VERSIONS + 1, 0, -1))


def test_a_database_that_another_program_holds_is_refused(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 10)
    with closing(apsw.Connection(str(stopped / "modelkeep.db"))) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM event").fetchall()
        with started(stopped) as registry:  # a reader is no harm, unless it needs the log
            assert registry.numbers()
        other.execute("COMMIT")
        other.execute("BEGIN IMMEDIATE")
        assert "another program" in refusal(stopped)


def test_a_refusal_is_one_line_and_exit_code_1(stopped: Path) -> None:
    (stopped / "modelkeep.db").unlink()
    command = [sys.executable, "-m", "modelkeep_server", "--data", str(stopped)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("modelkeep serve: ")
    assert ran.stderr.count("\n") == 1
