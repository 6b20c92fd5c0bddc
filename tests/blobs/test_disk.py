"""A disk that is full refuses, one that fails ends all writing; neither loses what is there."""

import errno
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.blobs.spec import DATA, FRESH, content

from modelkeep.errors import DataLossError, Error, ResourceExhaustedError, UnavailableError
from modelkeep_server.blobs import BLOCK, LocalStore


class Fault(Protocol):
    def __call__(self, call: str, code: int, after: int = 0) -> None: ...


@pytest.fixture
def failures() -> list[str]:
    """What the store told the app."""
    return []


@pytest.fixture
def store(tmp_path: Path, failures: list[str]) -> LocalStore:
    return LocalStore(tmp_path, failures.append)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fault]:
    """Make a system call fail from its `after`th use on, as a bad disk would."""

    def fail(call: str, code: int, after: int = 0) -> None:
        real, uses = getattr(os, call), iter(range(1 << 30))

        def broken(*args: Any) -> Any:
            if next(uses) >= after:
                raise OSError(code, os.strerror(code))
            return real(*args)

        monkeypatch.setattr(os, call, broken)

    yield fail
    monkeypatch.undo()


def files(root: Path) -> list[Path]:
    return [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]


def refusal(act: Callable[[], object]) -> Error:
    """Do what must be refused, and answer how it was."""
    with pytest.raises(Error) as refused:
        act()
    return refused.value


class TestAFullDisk:
    """Refused, with nothing left behind; it goes on when there is room again."""

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    def test_a_write_that_found_no_room_wrote_nothing(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, failures: list[str], code: int
    ) -> None:
        real = os.pwrite
        room = [3, 4]  # bytes taken by the next calls; then the disk is full

        def fills_up(fd: int, data: memoryview, offset: int) -> int:
            if not room:
                raise OSError(code, os.strerror(code))
            return real(fd, data[: room.pop(0)], offset)

        part = store.stage(1)
        part.write(DATA[:BLOCK])
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", fills_up)
            refused = refusal(lambda: part.write(DATA[BLOCK : 2 * BLOCK]))

        assert isinstance(refused, ResourceExhaustedError)
        assert refused.reason == "STORAGE_FULL"
        assert refused.retry_after_seconds
        assert part.size == BLOCK
        assert b"".join(part.read()) == DATA[:BLOCK]
        part.close()
        with closing(store.stage(1, part.key)) as resumed:
            assert resumed.size == BLOCK
            resumed.write(DATA[BLOCK:])
            resumed.publish()
        assert content(store, part.key) == DATA
        assert failures == []

    def test_a_write_that_is_taken_in_bits_is_whole(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:70_001], at))

        part = store.stage(1)
        part.write(DATA)
        part.publish()

        assert content(store, part.key) == DATA

    @pytest.mark.parametrize(
        ("call", "after"), [("open", 0), ("open", 30), ("pwrite", 11), ("rename", 5)]
    )
    def test_of_many_put_none_is_kept(
        self, store: LocalStore, fault: Fault, tmp_path: Path, call: str, after: int
    ) -> None:
        fault(call, errno.ENOSPC, after)

        refused = refusal(lambda: store.put_many([b"x"] * 50))

        assert refused.reason == "STORAGE_FULL"
        assert files(tmp_path) == []

    def test_nothing_is_written_any_more_once_putting_was_refused(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun: list[int] = []
        ended: list[int] = []
        real = os.pwrite

        def pwrite(fd: int, data: memoryview, offset: int) -> int:
            begun.append(fd)
            if len(begun) == 1:
                ended.append(fd)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            time.sleep(0.02)
            ended.append(fd)
            return real(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        refusal(lambda: store.put_many([b"x"] * 50))
        still = len(begun) - len(ended)

        assert still == 0

    def test_a_part_that_could_not_be_opened_is_left_as_it_was(
        self, store: LocalStore, fault: Fault
    ) -> None:
        part = store.stage(1)
        part.close()
        fault("open", errno.ENOSPC)

        assert refusal(lambda: store.stage(1)).reason == "STORAGE_FULL"
        assert refusal(lambda: store.stage(1, part.key)).reason == "STORAGE_FULL"
        assert store.staged_keys(math.inf) == [part.key]


class TestADiskThatFails:
    """Nothing is trusted after a failed fsync: writing ends, aloud, and is not tried again."""

    @pytest.fixture(params=["put", "publish", "put folder", "publish folder", "flush", "entry"])
    def failed(self, request: pytest.FixtureRequest, store: LocalStore, fault: Fault) -> None:
        """Let an fsync fail, each one there is in its turn."""
        part = store.stage(1)
        part.write(b"x")
        acts: dict[str, tuple[Callable[[], object], str, int]] = {
            "put": (lambda: store.put_many([b"x"]), "fsync", 0),
            "put folder": (lambda: store.put_many([b"x"]), "fsync", 1),
            "publish": (part.publish, "fsync", 0),
            "publish folder": (part.publish, "fsync", 1),
            "flush": (part.flush, "fdatasync", 0),
            "entry": (part.flush, "fsync", 0),
        }
        act, call, after = acts[request.param]
        # Any error of fsync's will do, even one that is harmless elsewhere.
        fault(call, errno.ENOSPC if "folder" in request.param else errno.EIO, after)
        refused = refusal(act)
        assert isinstance(refused, UnavailableError)
        assert refused.reason == "STORAGE_FAILED"
        part.close()

    @pytest.mark.usefixtures("failed")
    def test_every_later_write_is_refused_without_trying(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        before = files(tmp_path)
        for call in ("fsync", "fdatasync", "pwrite", "rename", "ftruncate"):
            monkeypatch.setattr(os, call, lambda *_: pytest.fail("it was tried again"))

        for write in (
            lambda: store.put_many([b"y"]),
            lambda: store.stage(1),
            lambda: store.remove(FRESH),
            lambda: store.remove_staged(FRESH),
        ):
            assert refusal(write).reason == "STORAGE_FAILED"
        assert files(tmp_path) == before

    @pytest.mark.usefixtures("failed")
    def test_the_app_is_told_once(self, store: LocalStore, failures: list[str]) -> None:
        refusal(lambda: store.put_many([b"y"]))

        assert len(failures) == 1
        assert "the disk with the blobs failed" in failures[0]

    def test_the_app_is_told_once_of_many_failures(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, failures: list[str]
    ) -> None:
        together = threading.Barrier(8)

        def fsync(_: int) -> None:
            together.wait(10)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fsync", fsync)
        refusal(lambda: store.put_many([b"x"] * 100))

        assert len(failures) == 1

    def test_an_fsync_that_another_failed_beside_is_not_trusted(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, fault: Fault
    ) -> None:
        syncing, go_on = threading.Event(), threading.Event()

        def fdatasync(_: int) -> None:
            syncing.set()
            assert go_on.wait(10)

        part = store.stage(1)
        part.flush()
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        fault("fsync", errno.EIO)
        with ThreadPoolExecutor(1) as threads, closing(part):
            flush = threads.submit(part.flush)
            assert syncing.wait(10)
            refusal(lambda: store.put_many([b"x"]))
            go_on.set()

            assert refusal(flush.result).reason == "STORAGE_FAILED"

    def test_a_part_begun_before_takes_nothing_more(self, store: LocalStore, fault: Fault) -> None:
        [key] = store.put_many([b"safe"])
        part = store.stage(1)
        part.write(b"x")
        fault("fsync", errno.EIO)
        refusal(lambda: store.put_many([b"y"]))

        for write in (
            lambda: part.write(b"y"),
            part.flush,
            lambda: part.truncate(0),
            part.publish,
            part.discard,
        ):
            assert refusal(write).reason == "STORAGE_FAILED"
        part.close()
        assert content(store, key) == b"safe"

    @pytest.mark.parametrize("code", [errno.EIO, errno.EROFS])
    @pytest.mark.parametrize("call", ["pwrite", "rename"])
    def test_a_write_that_fails_ends_writing_too(
        self, store: LocalStore, fault: Fault, failures: list[str], call: str, code: int
    ) -> None:
        fault(call, code)

        refused = refusal(lambda: store.put_many([b"x"]))

        assert refused.reason == "STORAGE_FAILED"
        assert len(failures) == 1

    def test_an_error_that_flush_hears_stops_publish(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        flushing, fail = threading.Event(), threading.Event()

        def fdatasync(_: int) -> None:
            flushing.set()
            assert fail.wait(10)
            raise OSError(errno.EIO, "the kernel tells this to one fsync only")

        part = store.stage(1)
        part.write(DATA)
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with ThreadPoolExecutor(2) as threads:
            flush = threads.submit(part.flush)
            assert flushing.wait(10)
            publish = threads.submit(part.publish)
            with pytest.raises(TimeoutError):
                publish.result(0.1)
            fail.set()

            assert isinstance(flush.exception(), UnavailableError)
            assert isinstance(publish.exception(), UnavailableError)
        part.close()
        assert files(tmp_path) == [Path("staging", part.key)]

    def test_a_part_is_not_closed_under_its_flush(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flushing, go_on = threading.Event(), threading.Event()
        real = os.fdatasync

        def fdatasync(fd: int) -> None:
            flushing.set()
            assert go_on.wait(10)
            real(fd)

        part = store.stage(1)
        part.write(DATA)
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with ThreadPoolExecutor(2) as threads:
            flush = threads.submit(part.flush)
            assert flushing.wait(10)
            close = threads.submit(part.close)
            with pytest.raises(TimeoutError):
                close.result(0.1)
            go_on.set()

            assert flush.result() == len(DATA)
            close.result()

    def test_writing_goes_on_while_a_flush_waits_for_the_disk(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flushing, go_on = threading.Event(), threading.Event()

        def fdatasync(_: int) -> None:
            flushing.set()
            assert go_on.wait(10)

        part = store.stage(1)
        part.write(DATA[:BLOCK])
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with ThreadPoolExecutor(1) as threads, closing(part):
            flush = threads.submit(part.flush)
            assert flushing.wait(10)
            part.write(DATA[BLOCK:])
            go_on.set()

            assert flush.result() == BLOCK
            assert part.size == len(DATA)

    def test_what_cannot_be_read_is_data_loss_and_ends_nothing(
        self, store: LocalStore, fault: Fault
    ) -> None:
        [key] = store.put_many([DATA])
        part = store.stage(1)
        part.write(DATA)
        fault("pread", errno.EIO, after=1)

        pieces = store.read(key, 5, len(DATA))
        assert next(pieces) == DATA[5:BLOCK]
        with pytest.raises(DataLossError) as lost:
            next(pieces)
        assert lost.value.reason == "BLOB_DAMAGED"
        assert lost.value.metadata["offset"] == str(BLOCK)
        with pytest.raises(DataLossError):
            list(part.read())
        part.publish()

    def test_reads_that_come_in_bits_are_whole_blocks(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [key] = store.put_many([DATA])
        real = os.pread
        monkeypatch.setattr(os, "pread", lambda fd, size, at: real(fd, min(size, 70_001), at))

        pieces = list(store.read(key, 0, len(DATA)))

        assert [len(piece) for piece in pieces] == [BLOCK, BLOCK, len(DATA) - 2 * BLOCK]
        assert b"".join(pieces) == DATA

    @pytest.mark.parametrize("call", ["pwrite", "open", "rename"])
    def test_what_is_not_understood_stays_what_it_is(
        self, store: LocalStore, fault: Fault, failures: list[str], tmp_path: Path, call: str
    ) -> None:
        fault(call, errno.EPERM)

        with pytest.raises(PermissionError):
            store.put_many([b"x"])

        assert failures == []
        assert files(tmp_path) == []

    def test_reading_that_is_not_understood_is_no_data_loss(
        self, store: LocalStore, fault: Fault
    ) -> None:
        [key] = store.put_many([DATA])
        fault("pread", errno.EPERM)

        with pytest.raises(PermissionError):
            list(store.read(key, 0, 1))


def test_no_descriptor_stays_open(store: LocalStore, fault: Fault) -> None:
    before = len(os.listdir("/proc/self/fd"))
    [key] = store.put_many([DATA])
    list(store.read(key, 0, len(DATA)))
    next(store.read(key, 0, len(DATA)))
    published, discarded, closed, lost = (store.stage(1) for _ in range(4))
    published.publish()
    discarded.discard()
    closed.close()
    store.stage(1, lost.key).close()
    lost.close()
    fault("pwrite", errno.EIO)
    failed = store.stage(1)
    refusal(lambda: failed.write(b"x"))
    refusal(failed.discard)

    assert len(os.listdir("/proc/self/fd")) == before
