"""Collection beside uploads that share blobs with what is deleted: nothing acknowledged is lost."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.collecting import collect
from tests.faults.registries import check_sound_at, flags_of
from tests.faults.uploaders import Uploader
from tests.parts.postgres import Postgres, new_database
from tests.parts.s3 import ENVIRONMENT
from tests.places import memory
from tests.rounds import Tally, rounds
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import Registry

UPLOADERS = 20
SERVER = ("-m", "tests.faults.collecting_server")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, if there is one: nothing here is about disks."""
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)


def _collect_again_and_again(
    r: Registry, tally: Tally, count: int, is_over: Callable[[], bool]
) -> int:
    """Collect in rounds; answer how many blobs were deleted."""
    deleted = 0
    for _ in range(count):
        deleted += collect(r).deleted_blobs
        tally.tried += 1
        if is_over():
            break
    return deleted


def _collect_beside_uploads(servers: Sequence[ServerProcess], tally: Tally, count: int) -> None:
    """Collect so often at the first of these servers, while others upload at all; stop them."""
    stop = threading.Event()
    with ExitStack() as channels:
        registries = [channels.enter_context(registry_of(server)) for server in servers]
        uploaders = [
            Uploader(registries[number % len(servers)].as_user(f"user{number}"), number, stop)
            for number in range(UPLOADERS)
        ]
        with ThreadPoolExecutor(UPLOADERS) as pool, tally.counting_faults():
            working = [pool.submit(uploader.run) for uploader in uploaders]
            try:
                deleted = _collect_again_and_again(
                    registries[0], tally, count, lambda: any(w.done() for w in working)
                )
            finally:
                stop.set()
            for one in working:
                one.result()
    for server in servers:
        server.stop()
        assert "error" not in {line.get("level") for line in _lines(server.log())}
    tally.notes |= {
        "versions": sum(uploader.made for uploader in uploaders),
        "deleted": deleted,
        "collected_meanwhile": sum(uploader.collected_meanwhile for uploader in uploaders),
    }
    assert deleted > tally.tried


def _lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


@pytest.mark.faults
@pytest.mark.rounds("collection")
@pytest.mark.timeout(7200)
def test_collections_beside_uploads_lose_nothing(place: Path, tally: Tally) -> None:
    with serving(place / "data", program=SERVER) as server:
        _collect_beside_uploads([server], tally, rounds(500, 20_000))
    check_sound_at({"data": str(server.data)})


@pytest.mark.faults
@pytest.mark.rounds("collection-production")
@pytest.mark.timeout(7200)
def test_collections_beside_uploads_at_two_servers_lose_nothing(
    tmp_path: Path,
    tally: Tally,
    postgres_server: Postgres,
    seaweed_blobs: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    where = {"database": new_database(postgres_server.url()), "blobs": seaweed_blobs()}
    with ExitStack() as parts:
        servers = [
            parts.enter_context(
                serving(tmp_path / f"server-{number}", *flags_of(where), program=SERVER)
            )
            for number in range(2)
        ]
        _collect_beside_uploads(servers, tally, rounds(100, 2_000))
    check_sound_at(where | {"data": str(servers[0].data)})
