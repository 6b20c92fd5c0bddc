"""The disk that these tests break: it forgets what it may forget, and nothing else."""

import errno
import os
from pathlib import Path

import pytest
from tests.faults.faulty_disk import FaultyDisk, faulty_disk


def _write(path: Path, data: bytes, *, sync: bool = False) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(data)
        if sync:
            os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _left(disk: FaultyDisk, tmp_path: Path) -> dict[str, bytes | None]:
    top = disk.survivors(tmp_path / "left")
    return {
        str(path.relative_to(top)): path.read_bytes() if path.is_file() else None
        for path in top.rglob("*")
    }


def test_a_name_that_was_not_synced_is_gone(disk: FaultyDisk, tmp_path: Path) -> None:
    _write(disk.path / "a", b"a", sync=True)
    assert _left(disk, tmp_path) == {}


def test_bytes_that_were_not_synced_are_gone(disk: FaultyDisk, tmp_path: Path) -> None:
    _write(disk.path / "a", b"first", sync=True)
    _sync(disk.path)
    with (disk.path / "a").open("r+b", buffering=0) as file:
        file.write(b"SECOND")
    _write(disk.path / "b", b"b")
    _sync(disk.path)

    assert (disk.path / "a").read_bytes() == b"SECOND"
    assert _left(disk, tmp_path) == {"a": b"first", "b": b""}


def test_what_was_cut_off_and_written_again_is_durable_by_a_sync(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    _write(disk.path / "a", b"0123456789", sync=True)
    _sync(disk.path)
    with (disk.path / "a").open("r+b", buffering=0) as file:
        file.truncate(3)
        os.pwrite(file.fileno(), b"x", 5)
        os.fdatasync(file.fileno())

    assert _left(disk, tmp_path) == {"a": b"012\0\0x"}


def test_a_folder_is_durable_by_a_sync_of_the_one_above(disk: FaultyDisk, tmp_path: Path) -> None:
    (disk.path / "known" / "inner").mkdir(parents=True)
    _sync(disk.path)
    assert _left(disk, tmp_path) == {"known": None}


def test_a_removal_that_was_not_synced_is_undone(disk: FaultyDisk, tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write(disk.path / name, b"x", sync=True)
    (disk.path / "b").unlink()
    _sync(disk.path)
    (disk.path / "a").unlink()

    assert _left(disk, tmp_path) == {"a": b"x"}


@pytest.mark.parametrize(
    ("synced", "left"), [("", "from/a"), ("from", "from/a"), ("to", "to/a"), ("from to", "to/a")]
)
def test_a_rename_is_whole_by_a_sync_of_the_folder_that_it_went_to(
    disk: FaultyDisk, tmp_path: Path, synced: str, left: str
) -> None:
    for name in ("from", "to"):
        (disk.path / name).mkdir()
    _write(disk.path / "from" / "a", b"x", sync=True)
    for folder in (disk.path, disk.path / "from"):
        _sync(folder)
    (disk.path / "from" / "a").rename(disk.path / "to" / "a")
    for name in synced.split():
        _sync(disk.path / name)

    assert _left(disk, tmp_path) == {"from": None, "to": None, left: b"x"}


def test_what_survived_is_where_another_disk_begins(disk: FaultyDisk, tmp_path: Path) -> None:
    (disk.path / "folder").mkdir()
    _write(disk.path / "folder" / "a", b"x", sync=True)
    for folder in (disk.path, disk.path / "folder"):
        _sync(folder)
    left = disk.survivors(tmp_path / "first")

    with faulty_disk(tmp_path / "second", left) as second:
        assert (second.path / "folder" / "a").read_bytes() == b"x"
        assert _left(second, tmp_path) == {"folder": None, "folder/a": b"x"}


def test_a_fault_is_met_once_and_where_it_was_asked_for(disk: FaultyDisk) -> None:
    disk.fail("sync", "/b", nth=2)
    with (disk.path / "a").open("wb") as a, (disk.path / "b").open("wb") as b:
        os.fsync(b.fileno())
        os.fsync(a.fileno())
        with pytest.raises(OSError, match="Input/output error"):
            os.fsync(b.fileno())
        os.fsync(b.fileno())

    assert disk.fired() == 1
    assert disk.syncs() == ["/b", "/a", "/b", "/b"]


def test_what_a_sync_could_not_write_is_not_written_by_the_next(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    _write(disk.path / "a", b"first", sync=True)
    _sync(disk.path)
    disk.fail("sync", "/a")
    with (disk.path / "a").open("r+b", buffering=0) as file:
        file.write(b"other")
        with pytest.raises(OSError, match="Input/output error"):
            os.fsync(file.fileno())
        os.fsync(file.fileno())

    assert (disk.path / "a").read_bytes() == b"other"
    assert _left(disk, tmp_path) == {"a": b"first"}


def test_a_disk_is_full_until_it_is_mended(disk: FaultyDisk) -> None:
    disk.room(10)
    _write(disk.path / "a", bytes(10))
    with pytest.raises(OSError, match="No space left") as full:
        _write(disk.path / "b", bytes(1))
    assert full.value.errno == errno.ENOSPC
    disk.mend()
    _write(disk.path / "b", bytes(1))


def test_a_read_only_disk_can_be_read(disk: FaultyDisk) -> None:
    _write(disk.path / "a", b"x")
    disk.turn_read_only()
    with pytest.raises(OSError, match="Read-only"):
        _write(disk.path / "a", b"y")
    assert (disk.path / "a").read_bytes() in (b"x", b"")


def test_nothing_stays_mounted(tmp_path: Path) -> None:
    with faulty_disk(tmp_path / "disk") as disk:
        file = (disk.path / "a").open("wb")
    assert not os.path.ismount(tmp_path / "disk")
    file.close()
