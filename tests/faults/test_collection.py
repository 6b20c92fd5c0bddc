"""Collection beside uploads that share blobs with what is deleted: nothing acknowledged is lost."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.collecting import collect
from tests.faults.uploaders import Uploader
from tests.places import memory
from tests.rounds import Tally, rounds
from tests.services.processes import registry_of, serving
from tests.services.wire import Registry
from tests.verified import check_sound_here

UPLOADERS = 20
SERVER = ("-m", "tests.faults.collecting_server")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, if there is one: nothing here is about disks."""
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)


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
