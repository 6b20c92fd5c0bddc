"""Collection beside uploads that share blobs with what is deleted: nothing acknowledged is lost."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from tests.collecting import collect, purge
from tests.places import memory
from tests.rounds import LostError, Tally, check_kept, rounds, seed
from tests.services.processes import registry_of, serving
from tests.services.wire import Registry, download, status
from tests.verified import check_sound_here

UPLOADERS = 20
CONTENTS = [f"content {number} ".encode() * 20 for number in range(250)]
COLLECTED_MEANWHILE = {
    "BLOBS_MISSING",
    "MANIFEST_NOT_SEALED",
    "SEAL_IN_PROGRESS",
    "STORAGE_BUSY",  # a pack whose bytes had no row for as long as the grace time
}
KEPT = 4
PAUSE_SECONDS = 0.1
SERVER = ("-m", "tests.faults.collecting_server")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, if there is one: nothing here is about disks."""
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)


class Uploader:
    """Makes versions of some of the contents, and drops them when they are past their grace time.

    Each is looked at when it is made, and before it is dropped.
    """

    def __init__(self, r: Registry, number: int, stop: threading.Event) -> None:
        self.made = 0
        self._live: dict[int, dict[str, bytes]] = {}
        self.collected_meanwhile = 0
        self._r = r
        self._asset = f"asset{number}"
        self._stop = stop
        self._random = random.Random(seed() + number)

    def run(self) -> None:
        """Go on until told to stop; the last versions stay."""
        while not self._stop.is_set():
            self._stop.wait(PAUSE_SECONDS)  # else collections would come to nothing
            if len(self._live) == KEPT:
                oldest = min(self._live)
                self._check(oldest)
                del self._live[oldest]
                purge(self._r, oldest, self._asset)
            files = {str(n): data for n, data in enumerate(self._random.sample(CONTENTS, 2))}
            self._push(files)
            self._live[self.made] = files
            self._check(self.made)

    def _check(self, number: int) -> None:
        """Hold that an acknowledged version has its bytes."""
        files = self._live[number]
        try:
            got = download(self._r, self._r.version(number, self._asset), *files)
        except grpc.RpcError as error:
            raise LostError(f"version {number} of {self._asset}: {status(error)}") from error
        check_kept(got == list(files.values()), f"bytes of version {number} of {self._asset}")

    def _push(self, files: dict[str, bytes]) -> None:
        """Push as the SDK does: what was collected meanwhile is sent again."""
        while True:
            try:
                self.made = self._r.create(self._asset, files).number
            except grpc.RpcError as error:
                if status(error).reason not in COLLECTED_MEANWHILE:
                    raise
                self.collected_meanwhile += 1
            else:
                return


def _collect_again_and_again(r: Registry, tally: Tally, is_over: Callable[[], bool]) -> int:
    """Collect in rounds; answer how many blobs were deleted."""
    deleted = 0
    for _ in range(rounds(500, 20_000)):
        deleted += collect(r).deleted_blobs
        tally.tried += 1
        if is_over():
            break
    return deleted


def _lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


@pytest.mark.rounds("collection")
@pytest.mark.timeout(7200)
def test_collections_beside_uploads_lose_nothing(place: Path, tally: Tally) -> None:
    stop = threading.Event()
    with serving(place / "data", program=SERVER) as server, registry_of(server) as r:
        uploaders = [
            Uploader(r.as_user(f"user{number}"), number, stop) for number in range(UPLOADERS)
        ]
        with ThreadPoolExecutor(UPLOADERS) as pool, tally.counting_faults():
            working = [pool.submit(uploader.run) for uploader in uploaders]
            try:
                deleted = _collect_again_and_again(r, tally, lambda: any(w.done() for w in working))
            finally:
                stop.set()
            for one in working:
                one.result()
        server.stop()
        log = server.log()
    check_sound_here(place / "data")
    assert "error" not in {line.get("level") for line in _lines(log)}
    tally.notes |= {
        "versions": sum(uploader.made for uploader in uploaders),
        "deleted": deleted,
        "collected_meanwhile": sum(uploader.collected_meanwhile for uploader in uploaders),
    }
    assert deleted > tally.tried
