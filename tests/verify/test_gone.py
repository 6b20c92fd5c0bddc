"""What was taken away from a folder: verify says what a server says that refuses to start on it."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.folders import refusal
from tests.services.processes import registry_of, serving
from tests.verify.conftest import Verify
from tests.verify.life import make_versions

DATABASE = "modelkeep.db"


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that was killed, which nobody changes."""
    path = tmp_path_factory.mktemp("left") / "data"
    with serving(path) as server, registry_of(server) as registry:
        make_versions(registry)
        server.kill()
    return path


@pytest.fixture
def killed(left: Path, tmp_path: Path) -> Path:
    return shutil.copytree(left, tmp_path / "killed")


def _cut(log: Path) -> None:
    os.truncate(log, log.stat().st_size - 5_000)


def _empty(log: Path) -> None:
    os.truncate(log, 0)


def _flip(log: Path) -> None:
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)


def _litter(log: Path) -> None:
    log.write_bytes(os.urandom(50_000))


@pytest.mark.parametrize("damage", [_cut, _empty, _flip, _litter, Path.unlink])
def test_a_log_that_is_gone_or_changed(
    killed: Path, verify: Verify, damage: Callable[[Path], object]
) -> None:
    damage(killed / "modelkeep.db-wal")

    for _ in range(2):
        verify(killed).check(
            "database", DATABASE, "modelkeep.db-wal was cut off, changed or removed"
        )
    assert "modelkeep.db-wal was cut off or changed" in refusal(killed)
    verify(killed).check("database", DATABASE, "modelkeep.db-wal was cut off, changed or removed")


def test_a_log_that_an_earlier_run_of_the_machine_left_is_believed(
    killed: Path, verify: Verify
) -> None:
    _cut(killed / "modelkeep.db-wal")
    (killed / "lock").write_text("1\nanother-run-of-the-machine\n")

    assert verify(killed).report["checked"]["versions"] > 0


@pytest.mark.parametrize(
    ("damage", "words"), [(_empty, "is empty, although blobs"), (Path.unlink, "is missing")]
)
def test_a_database_that_is_gone_beside_blobs(
    data: Path, verify: Verify, damage: Callable[[Path], object], words: str
) -> None:
    damage(data / DATABASE)

    verify(data).check("database", DATABASE, words)


@pytest.mark.parametrize("folder", ["blobs", "blobs/5a"])
def test_a_folder_of_blobs_that_is_gone(data: Path, verify: Verify, folder: str) -> None:
    shutil.rmtree(data / folder)

    verify(data).check("folder", folder, "is missing")
    assert folder in refusal(data)


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def _make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _make_socket, _make_loop])
def test_what_is_no_file_in_the_places_of_blobs_makes_nobody_wait(
    data: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(data)  # the name of a socket is short
    places = list(Path("blobs").glob("*/*"))
    for place in places:
        place.unlink()
        make(place)

    verified = verify(data)

    assert {place for place in map(str, places) if not verified.damage("stranger", place)} == set()
    assert verified.report["checked"]["manifests"] > 0


def test_a_journal_is_left_as_it_is(data: Path, verify: Verify) -> None:
    journal = data / "modelkeep.db-journal"
    journal.write_bytes(b"what was under way")

    verified = verify(data)

    assert verified.code == 3
    assert "start and stop" in verified.problem
    assert journal.read_bytes() == b"what was under way"
