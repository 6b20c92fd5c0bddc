"""Blobs on a local disk: the port's contract, what lies where, and what is durable when."""

import math
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.blobs.spec import DATA, SIZE, BlobStoreSpec, content

from modelkeep.errors import AbortedError
from modelkeep_server.blobs import LocalStore


@dataclass(frozen=True, slots=True)
class Slow:
    """A slow disk: it is writing, and it waits to go on."""

    writing: threading.Event
    go_on: threading.Event


@pytest.fixture
def failures() -> list[str]:
    """What the store told the app."""
    return []


@pytest.fixture
def store(tmp_path: Path, failures: list[str]) -> LocalStore:
    return LocalStore(tmp_path, failures.append)


@pytest.fixture
def restart(tmp_path: Path, failures: list[str]) -> Callable[[], LocalStore]:
    return lambda: LocalStore(tmp_path, failures.append)


def files(root: Path) -> list[Path]:
    return [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestLocalStore(BlobStoreSpec):
    """The contract of the port."""

    @pytest.fixture
    def lasting(self) -> bytes:
        return DATA[:12_345]


class TestLayout:
    """What lies where, and who may read it."""

    def test_blobs_lie_by_the_first_two_digits_of_their_keys(
        self, store: LocalStore, tmp_path: Path
    ) -> None:
        part = store.stage(SIZE)
        part.publish()
        keys = [*store.put_many([b"a", b"b"]), part.key]

        assert files(tmp_path) == sorted(Path("blobs", key[:2], key) for key in keys)

    def test_parts_lie_in_staging(self, store: LocalStore, tmp_path: Path) -> None:
        with closing(store.stage(SIZE)) as part:
            assert files(tmp_path) == [Path("staging", part.key)]

    def test_all_that_is_put_at_once_lies_in_one_folder(self, store: LocalStore) -> None:
        assert len({key[:2] for key in store.put_many([b"x"] * 100)}) == 1

    def test_nobody_else_may_look(self, store: LocalStore, tmp_path: Path) -> None:
        with closing(store.stage(SIZE)) as part:
            published = store.stage(SIZE)
            published.publish()
            [put] = store.put_many([b"x"])

            assert {mode(path) for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}
            assert mode(tmp_path / "staging" / part.key) == 0o600
            for key in (put, published.key):
                assert mode(tmp_path / "blobs" / key[:2] / key) == 0o400


class TestDurability:
    """What must be on the disk before the next step."""

    @pytest.fixture
    def steps(self, monkeypatch: pytest.MonkeyPatch, store: LocalStore) -> list[str]:
        """What was asked of the kernel, in order, after the store was opened."""
        steps: list[str] = []
        real = {call: getattr(os, call) for call in ("fsync", "fdatasync", "rename")}

        def note(fd: int, call: str) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
            steps.append(f"{call} {path.parent.name if path.is_file() else path.name}")
            real[call](fd)

        def rename(source: Path, target: Path) -> None:
            real["rename"](source, target)
            steps.append(f"rename {source.parent.name} {target.parent.name}")

        monkeypatch.setattr(os, "fsync", lambda fd: note(fd, "fsync"))
        monkeypatch.setattr(os, "fdatasync", lambda fd: note(fd, "fdatasync"))
        monkeypatch.setattr(os, "rename", rename)
        return steps

    def test_published_is_the_file_then_its_place_then_the_folder(
        self, store: LocalStore, steps: list[str]
    ) -> None:
        part = store.stage(SIZE)
        part.write(DATA)
        part.publish()

        shard = part.key[:2]
        assert steps == ["fsync staging", f"rename staging {shard}", f"fsync {shard}"]

    def test_put_are_all_files_then_their_places_then_the_folder(
        self, store: LocalStore, steps: list[str]
    ) -> None:
        shard = store.put_many([b"x"] * 20)[0][:2]

        assert steps == (
            ["fsync staging"] * 20 + [f"rename staging {shard}"] * 20 + [f"fsync {shard}"]
        )

    def test_the_first_flush_keeps_the_part_findable(
        self, store: LocalStore, steps: list[str]
    ) -> None:
        with closing(store.stage(SIZE)) as part:
            part.write(DATA)
            part.flush()
            part.flush()

        assert steps == ["fdatasync staging", "fsync staging", "fdatasync staging"]

    def test_new_folders_are_durable_before_they_are_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[str] = []
        monkeypatch.setattr(
            os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        )

        LocalStore(tmp_path, print)

        assert synced == [str(tmp_path / "blobs"), str(tmp_path)]

    def test_a_part_goes_on_to_the_byte(self, store: LocalStore) -> None:
        part = store.stage(SIZE)
        part.write(DATA[:12_345])
        assert part.flush() == 12_345
        part.close()

        with closing(store.stage(SIZE, part.key)) as resumed:
            assert resumed.size == 12_345

    def test_a_crash_in_the_middle_of_publishing_leaves_a_part(
        self,
        store: LocalStore,
        restart: Callable[[], LocalStore],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        part = store.stage(SIZE)
        part.write(DATA)
        with monkeypatch.context() as crashing:
            crashing.setattr(os, "rename", crash)
            with pytest.raises(KeyboardInterrupt):
                part.publish()
        part.close()

        later = restart()
        assert later.staged_keys(math.inf) == [part.key]
        resumed = later.stage(SIZE, part.key)
        assert mode(tmp_path / "staging" / part.key) == 0o600
        resumed.publish()
        assert content(later, part.key) == DATA


class TestWriters:
    """Who is busy with a file, while the disk is slow."""

    @pytest.fixture
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
        """Let the next write wait in the middle for `go_on`."""
        slow = Slow(threading.Event(), threading.Event())
        real = os.pwrite

        def pwrite(fd: int, data: memoryview, offset: int) -> int:
            slow.writing.set()
            assert slow.go_on.wait(10)
            return real(fd, data[:3], offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        yield slow
        slow.go_on.set()

    def test_who_takes_a_part_waits_until_the_write_before_is_over(
        self, store: LocalStore, slow: Slow
    ) -> None:
        part = store.stage(SIZE)
        with ThreadPoolExecutor(3) as threads:
            write = threads.submit(part.write, b"whole")
            assert slow.writing.wait(10)
            takers = [threads.submit(store.stage, SIZE, part.key) for _ in range(2)]
            _, waiting = wait(takers, 0.2)
            assert len(waiting) == 2
            slow.go_on.set()
            write.result()
            taken = [taker.result() for taker in takers]

        assert [part.size for part in taken] == [5, 5]
        with pytest.raises(AbortedError):
            part.write(b"late")
        owners = 0
        for part in taken:
            with closing(part), suppress(AbortedError):
                part.write(b"more")
                owners += 1
        assert owners == 1

    def test_what_is_being_put_is_not_taken_for_a_part(
        self, store: LocalStore, slow: Slow, tmp_path: Path
    ) -> None:
        with ThreadPoolExecutor(1) as threads:
            put = threads.submit(store.put_many, [b"whole"])
            assert slow.writing.wait(10)
            [staged] = files(tmp_path)
            assert store.staged_keys(math.inf) == []
            store.remove_staged(staged.name)
            slow.go_on.set()

            assert content(store, put.result()[0]) == b"whole"
        assert store.staged_keys(math.inf) == []
