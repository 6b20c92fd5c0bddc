"""A disk that can't be read or written: no wrong byte is served, and the server says what it is."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.faults.faulty_disk import FaultyDisk
from tests.faults.story import Story
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import MIB, Registry, digest, download, refused, status
from tests.verified import verify

import modelkeep
from modelkeep.v1 import artifact_service_pb2 as artifacts

LARGE = os.urandom(3 * MIB)
SMALL = b"a neighbour"


@pytest.fixture
def registry(disk_server: ServerProcess) -> Iterator[Registry]:
    """A registry with a version."""
    with registry_of(disk_server) as registry:
        registry.create(files={"large": LARGE, "small": SMALL})
        yield registry


def _stored(data: Path, content: bytes) -> Path:
    """Find the file in which these bytes are kept."""
    (path,) = [path for path in data.glob("blobs/*/*") if path.read_bytes() == content]
    return path


def test_a_blob_that_cannot_be_read_is_data_loss_and_no_more(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry
) -> None:
    path = _stored(disk_server.data, LARGE)
    disk.fail("read", f"*/{path.name}", lasting=True)
    with refused("DATA_LOSS", "BLOB_DAMAGED") as refusal:
        download(registry, registry.version(1), "large")

    assert refusal.metadata["digest"] == digest(LARGE)
    assert download(registry, registry.version(1), "small") == [SMALL]
    disk.mend()
    assert download(registry, registry.version(1), "large") == [LARGE]


def _flip(path: Path, position: int) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("position", [0, MIB + 17, 3 * MIB - 1])
def test_a_flipped_bit_is_never_served(
    disk_server: ServerProcess, registry: Registry, tmp_path: Path, position: int
) -> None:
    _flip(_stored(disk_server.data, LARGE), position)
    name = registry.version(1)
    block = position // MIB

    with refused("DATA_LOSS", "BLOB_DAMAGED"):
        download(registry, name, "large")
    for start, length in ((position, 1), (block * MIB, 5), (0, 3 * MIB)):
        with refused("DATA_LOSS", "BLOB_DAMAGED"):
            download(registry, name, artifacts.FileRange(path="large", offset=start, length=length))
    _check_neighbours(registry, name, block)
    with modelkeep.Client(disk_server.address, cache=tmp_path / "cache") as client:
        with pytest.raises(modelkeep.DataLossError):
            client.pull("churn:1", tmp_path / "pulled")
        assert not (tmp_path / "pulled" / "large").exists()
    disk_server.stop()
    _check_named(disk_server.data, digest(LARGE))


def _check_named(data: Path, damaged: str) -> None:
    """Expect that `verify` finds this blob damaged, and nothing else."""
    code, report = verify(data)
    assert code == 2
    assert damaged in str(report)
    assert digest(SMALL) not in str(report)


def _check_neighbours(registry: Registry, name: str, damaged: int) -> None:
    for block in {0, 1, 2} - {damaged}:
        wanted = artifacts.FileRange(path="large", offset=block * MIB, length=MIB)
        assert download(registry, name, wanted) == [LARGE[block * MIB : (block + 1) * MIB]]
    assert download(registry, name, "small") == [SMALL]


def test_a_blob_whose_file_is_gone_is_data_loss(
    disk_server: ServerProcess, registry: Registry
) -> None:
    _stored(disk_server.data, LARGE).unlink()
    with refused("DATA_LOSS", "BLOB_DAMAGED"):
        download(registry, registry.version(1), "large")
    assert download(registry, registry.version(1), "small") == [SMALL]


def test_a_database_that_cannot_be_read_is_said_in_the_log(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry
) -> None:
    disk.fail("read", "*/modelkeep.db*", lasting=True)
    with pytest.raises(grpc.RpcError) as failed:
        _read_often(registry)
    assert status(failed.value).code == "INTERNAL"
    disk.mend()
    assert registry.numbers() == [1]
    disk_server.stop()
    log = disk_server.log()
    assert status(failed.value).metadata["id"] in log
    assert "disk I/O error" in log


def _read_often(registry: Registry) -> None:
    """Read until each thread that answers had to open the database."""
    for _ in range(100):
        registry.log()
        registry.numbers()


def test_a_disk_that_turns_read_only_stops_the_server(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry, tmp_path: Path
) -> None:
    disk.turn_read_only()
    story = Story()
    story.tell(registry)
    assert story.refusal is not None
    assert (story.refusal.code, story.refusal.reason) == ("UNAVAILABLE", "STORAGE_FAILED")
    assert disk_server.exit_code() == 1
    assert "Read-only" in disk_server.log()

    assert "Read-only" in _not_started(disk_server.data)
    disk.mend()
    with serving(disk_server.data, log=tmp_path / "again") as again, registry_of(again) as registry:
        assert download(registry, registry.version(1), "large") == [LARGE]


def test_a_commit_on_a_disk_that_turned_read_only_stops_the_server(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry
) -> None:
    disk.turn_read_only()
    with pytest.raises(grpc.RpcError) as failed:
        registry.set_alias("best", 1)
    assert status(failed.value).reason == "STORAGE_FAILED"
    assert disk_server.exit_code() == 1


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("write", errno.EIO, "works"),
        ("sync", errno.EIO, "works"),
        ("create", errno.EIO, "works"),
        ("write", errno.ENOSPC, "room"),
        ("create", errno.ENOSPC, "room"),
    ],
)
def test_a_new_folder_on_a_bad_disk_is_refused(
    disk: FaultyDisk, call: str, error: int, said: str
) -> None:
    disk.fail(call, "/data/*", nth=2, error=error, lasting=True)
    assert said in _not_started(disk.path / "data")
    disk.mend()
    with serving(disk.path / "data", log=disk.path / "log"):
        pass


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "closed"
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    else:
        data.chmod(0o500)
    assert "--data" in _not_started(data / "inner" if os.geteuid() else data)


def _not_started(data: Path) -> str:
    """Expect a server not to start, and to say why in one line."""
    command = [sys.executable, "-m", "modelkeep_server", "--listen", "127.0.0.1:0"]
    ran = subprocess.run(
        [*command, "--metrics-listen", "off", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1, ran
    assert ran.stderr.startswith("modelkeep serve: ")
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr
