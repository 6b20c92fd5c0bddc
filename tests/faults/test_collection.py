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
from tests.rounds import Tally, check_kept, rounds, seed
from tests.services.processes import registry_of, serving
from tests.services.wire import Registry, download, status
from tests.verified import check_sound_here

UPLOADERS = 20
CONTENTS = [f"content {number} ".encode() * 20 for number in range(40)]
COLLECTED_MEANWHILE = {
    "BLOBS_MISSING",
    "MANIFEST_NOT_SEALED",
    "SEAL_IN_PROGRESS",
    "STORAGE_BUSY",  # a pack whose bytes had no row for as long as the grace time
}
PAUSE_SECONDS = 0.1
SERVER = ("-m", "tests.faults.collecting_server")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, if there is one: nothing here is about disks."""
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)


class Uploader:
    """Makes versions of a few of the contents, looks at each, and drops it again."""

    def __init__(self, r: Registry, number: int, stop: threading.Event) -> None:
        self.made = 0
        self.collected_meanwhile = 0
        self._r = r
        self._asset = f"asset{number}"
        self._stop = stop
        self._random = random.Random(seed() + number)

    def run(self) -> None:
        """Go on until told to stop; the last version stays."""
        while not self._stop.is_set():
            self._stop.wait(PAUSE_SECONDS)  # else collections would come to nothing
            if self.made:
                purge(self._r, self.made, self._asset)
            files = {str(n): data for n, data in enumerate(self._random.sample(CONTENTS, 2))}
            self._push(files)
            self.check(files)

    def check(self, files: dict[str, bytes]) -> None:
        """Hold that an acknowledged version has its bytes."""
        got = download(self._r, self._r.version(self.made, self._asset), *files)
        check_kept(got == list(files.values()), f"bytes of version {self.made} of {self._asset}")

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
