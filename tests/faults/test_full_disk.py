"""A disk that is full: a write is refused or whole, and all works again without a restart."""

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.faults.faulty_disk import FaultyDisk
from tests.faults.story import STEPS, Story, is_whole
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import MIB, Refusal, Registry, digest, download, status
from tests.verified import check_sound

WRITERS = 12


@pytest.fixture
def registry(disk_server: ServerProcess) -> Iterator[Registry]:
    with registry_of(disk_server) as registry:
        yield registry


def _is_full(refusal: Refusal | None) -> bool:
    return (
        refusal is not None
        and (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
        and bool(refusal.retry_seconds)
    )


def _check_no_faults(disk_server: ServerProcess) -> None:
    disk_server.stop()
    assert '"error"' not in disk_server.log()


@pytest.mark.parametrize("room", [0, 2 * MIB, 9 * MIB + 20_000])
def test_no_room_while_pushing_is_said_and_goes_by(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry, room: int
) -> None:
    disk.room(room)
    story = Story()
    story.tell(registry)
    assert _is_full(story.refusal), story
    assert story.lost(registry) == []

    disk.mend()
    _tell_again(story, registry)
    assert story.done == STEPS
    assert is_whole(registry)
    _check_no_faults(disk_server)


def _tell_again(story: Story, registry: Registry) -> None:
    """Tell it until it is done; a part whose end there was no room to note is held for a while."""
    while story.done != STEPS:
        story.tell(registry)
        if story.refusal is not None:
            assert story.refusal.reason == "UPLOAD_IN_PROGRESS"
            assert story.refusal.retry_seconds is not None
            time.sleep(story.refusal.retry_seconds)


def test_no_room_at_a_commit_refuses_it_alone(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry
) -> None:
    first = registry.create(files={"f": b"first"})
    sealed = registry.seal({"f": b"second"})
    disk.fail("write", "*/modelkeep.db-wal", error=errno.ENOSPC, lasting=True)
    with pytest.raises(grpc.RpcError) as refused:
        registry.create(files=sealed)
    assert _is_full(status(refused.value))
    assert registry.numbers() == [first.number]

    disk.mend()
    assert registry.create(files=sealed).number == first.number + 1
    _check_no_faults(disk_server)


def test_no_room_amid_many_writers_loses_nothing_acknowledged(
    disk: FaultyDisk, disk_server: ServerProcess, registry: Registry, tmp_path: Path
) -> None:
    sealed = registry.seal({"f": b"x"})
    ends: list[str] = []
    numbers: list[int] = []
    full = threading.Event()

    def write(asset: str) -> None:
        while not full.is_set():
            try:
                numbers.append(registry.create(asset, sealed, description="x" * 2000).number)
            except grpc.RpcError as error:
                ends.append("full" if _is_full(status(error)) else repr(status(error)))
                full.set()

    disk.room(300_000)
    threads = [threading.Thread(target=write, args=["shared"]) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(ends) == {"full"}
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert sorted(registry.numbers("shared", page_size=1000)) == sorted(numbers)
    disk.mend()
    assert registry.create("shared", sealed).number == len(numbers) + 1
    disk_server.kill()
    with serving(disk.survivors(tmp_path / "left") / "data") as again, registry_of(again) as left:
        assert len(left.numbers("shared", page_size=1000)) == len(numbers) + 1
        again.stop()
    check_sound(tmp_path / "left" / "data")


def test_blobs_can_be_read_while_the_disk_is_full(disk: FaultyDisk, registry: Registry) -> None:
    content = bytes(range(256)) * 8192
    registry.create(files={"f": content})
    disk.room(0)

    assert download(registry, registry.version(1), "f") == [content]
    assert registry.missing(digest(content)) == {}
