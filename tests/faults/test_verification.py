"""Checks beside uploads and collections find nothing, until something is damaged: then that."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.checking import checked, found
from tests.collecting import collect
from tests.faults.uploaders import Uploader
from tests.parts.s3 import ENVIRONMENT
from tests.places import memory
from tests.raw import ask
from tests.services.processes import registry_of, serving
from tests.services.wire import Registry

UPLOADERS = 8
SECONDS = 8
LEAST = 4
SERVER = ("-m", "tests.faults.collecting_server")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, if there is one: nothing here is about disks."""
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)


@pytest.fixture(params=["local", "s3"])
def blobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The option that says where bytes are."""
    if request.param == "local":
        return ()
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made: Callable[[], str] = request.getfixturevalue("seaweed_blobs")
    return ("--blobs", made())


def _again_and_again(do: Callable[[], object]) -> None:
    """Do something for some time, and some times at least, however busy the machine is."""
    until, rounds = time.monotonic() + SECONDS, 0
    while rounds < LEAST or time.monotonic() < until:
        do()
        rounds += 1


@pytest.mark.timeout(300)
def test_checks_beside_uploads_and_collections(
    place: Path, database: str | None, blobs: tuple[str, ...]
) -> None:
    options = blobs if database is None else (*blobs, "--database", database)
    stop = threading.Event()
    with (
        serving(place / "data", *options, program=SERVER) as server,
        registry_of(server) as r,
        ThreadPoolExecutor(UPLOADERS + 1) as pool,
    ):
        uploaders = [
            Uploader(r.as_user(f"user{number}"), number, stop) for number in range(UPLOADERS)
        ]
        working = [pool.submit(uploader.run) for uploader in uploaders]
        deleted: list[int] = []
        collecting = pool.submit(_again_and_again, lambda: deleted.append(collect(r).deleted_blobs))
        try:
            _again_and_again(lambda: _is_whole(r))
        finally:
            stop.set()
        for one in working:
            one.result()
        collecting.result()
        server.database = database
        ask(server, "UPDATE blob SET size = size + 1 WHERE id = (SELECT MAX(id) FROM blob)")

        (finding, *_) = found(checked(r))

        assert "error" not in {json.loads(line).get("level") for line in server.log().splitlines()}
    assert sum(deleted) > LEAST
    assert finding[0] == "blob"


def _is_whole(r: Registry) -> None:
    assert found(checked(r)) == []
