"""The real parts, as fixtures."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest
from tests.parts.minio import minio
from tests.parts.postgres import Postgres, new_database, postgres
from tests.parts.s3 import ELSEWHERE, S3Server, place_elsewhere
from tests.parts.seaweed import seaweed
from tests.rounds import Tally, tallying
from tests.running import RunningServer, run_server


def pytest_configure() -> None:
    """Let programs under test hear Ctrl-C: what is started in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A Postgres that tests share, each with a database of its own."""
    with postgres() as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def make_database(request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """Makes new databases: tests that use it run once with each kind.

    An empty one of Postgres, by its URL, at MODELKEEP_TEST_DATABASE_URL if that is set; nothing
    where a server makes its own.
    """
    if request.param == "sqlite":
        return lambda: None
    url = os.environ.get("MODELKEEP_TEST_DATABASE_URL")
    if url is None:
        running: Postgres = request.getfixturevalue("postgres_server")
        url = running.url()
    return lambda: new_database(url)


@pytest.fixture
def database(make_database: Callable[[], str | None]) -> str | None:
    """A new database of a test alone, of each kind."""
    return make_database()


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[S3Server]:
    """A SeaweedFS that tests share, each with a place of its own."""
    with seaweed() as running:
        yield running


@pytest.fixture(scope="session")
def minio_server() -> Iterator[S3Server]:
    """A MinIO that tests share, each with a place of its own; for tests marked `minio`."""
    with minio() as running:
        yield running


@pytest.fixture(scope="session")
def seaweed_blobs(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes new places for blobs, as `--blobs` takes them, in the store of tests for one kind."""
    if ELSEWHERE:
        return partial(place_elsewhere, ELSEWHERE)
    running: S3Server = request.getfixturevalue("seaweed_server")
    return running.url


@pytest.fixture(scope="session")
def minio_blobs(minio_server: S3Server) -> Callable[[], str]:
    """Makes new places for blobs in a MinIO; for tests marked `minio`."""
    return minio_server.url


@pytest.fixture(scope="session", params=["seaweed", pytest.param("minio", marks=pytest.mark.minio)])
def make_blobs(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes new places for blobs in S3-compatible stores, as `--blobs` takes them.

    Tests that use it run once with each kind: a SeaweedFS of these tests, or the place that
    MODELKEEP_TEST_S3_URL names; and a MinIO.
    """
    made: Callable[[], str] = request.getfixturevalue(f"{request.param}_blobs")
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A whole server in this process, on a free port of loopback, with a data folder of its own."""
    with run_server(tmp_path / "server-data") as running:
        yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    """A channel to `server`."""
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts what a suite of rounds tried."""
    with tallying(request) as counted:
        yield counted
