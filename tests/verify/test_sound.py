"""What is whole is told to be, and nothing is changed by looking at it."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from tests.services.processes import registry_of, serving
from tests.verify.conftest import Verify
from tests.verify.life import change_versions, leave_a_part, make_versions


def _content(data: Path) -> dict[str, tuple[int, int, str]]:
    return {
        str(path.relative_to(data)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [data, *data.rglob("*")]
    }


@pytest.mark.parametrize("option", ["--read-data", "--quiet"])
def test_a_folder_after_a_busy_life_is_whole(data: Path, verify: Verify, option: str) -> None:
    verified = verify(data, option)

    assert (verified.code, verified.problem) == (0, ""), verified.report
    assert verified.report["orphans"] == verified.report["damage"] == []
    assert verified.report["data"] == str(data)
    assert verified.report["read_data"] == (option == "--read-data")


def test_everything_is_counted(data: Path, verify: Verify) -> None:
    checked = verify(data).report["checked"]

    blobs = [path.stat().st_size for path in (data / "blobs").glob("*/*")]
    assert checked == {
        "assets": 3,
        "versions": 8,
        "manifests": 7,
        "blobs": len(blobs),
        "bytes_read": sum(blobs),
        "events": 20,
    }
    assert verify(data, "--quiet").report["checked"] == checked | {"bytes_read": 0}


def test_looking_changes_nothing(data: Path, verify: Verify) -> None:
    before = _content(data)

    verify(data)

    assert _content(data) == before


@pytest.mark.parametrize("lost", ["", "modelkeep.db-shm", "lock"])
def test_what_a_killed_server_left_is_whole_and_stays(
    tmp_path: Path, verify: Verify, lost: str
) -> None:
    data = tmp_path / "data"
    with serving(data) as server, registry_of(server) as registry:
        make_versions(registry)
        change_versions(registry)
        leave_a_part(registry)
        server.kill()
    assert os.stat(data / "modelkeep.db-wal").st_size
    if lost:
        (data / lost).unlink()
    before = _content(data)

    verified = verify(data)

    assert verified.code in (0, 1), verified.report
    assert verified.report["checked"]["versions"] == 8
    assert _content(data) == before


def test_a_part_that_was_published_before_its_row_was_written_is_a_part(
    data: Path, verify: Verify
) -> None:
    (part,) = (data / "staging").iterdir()
    shutil.move(part, data / "blobs" / part.name[:2] / part.name)

    assert verify(data).code == 0


def test_a_folder_that_was_started_and_stopped_is_whole(tmp_path: Path, verify: Verify) -> None:
    with serving(tmp_path / "data") as server:
        server.stop()

    assert verify(tmp_path / "data").code == 0
