"""Whole servers with their bytes in an S3-compatible store."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from tests.parts.postgres import Postgres, new_database
from tests.parts.s3 import ENVIRONMENT, bucket_at
from tests.running import RunningServer, run_server
from tests.services.conftest import registry, shared_channel
from tests.services.wire import Registry

from modelkeep_server.blobs.s3_bucket import S3Bucket

__all__ = ["registry", "shared_channel"]


@pytest.fixture(scope="session")
def shared_url(make_blobs: Callable[[], str]) -> str:
    """Where the bytes of the shared server are."""
    return make_blobs()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_url: str) -> Iterator[RunningServer]:
    """A server that tests share: nobody may look at more than what they made."""
    data = tmp_path_factory.mktemp("shared-s3") / "data"
    with run_server(data, blobs=shared_url) as running:
        yield running


@pytest.fixture
def blobs(make_blobs: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A place for the bytes of a test alone, which the processes that it starts may use."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return make_blobs()


@pytest.fixture
def bucket(blobs: str) -> S3Bucket:
    """The bucket with that place."""
    return bucket_at(blobs)


@pytest.fixture
def replicas(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres, blobs: str
) -> Iterator[tuple[Registry, Registry]]:
    """One namespace, spoken to at either of two servers of one Postgres and one bucket."""
    data = tmp_path_factory.mktemp("replicas") / "data"
    database = new_database(postgres_server.url())
    with ExitStack() as parts:
        servers = [
            parts.enter_context(run_server(data, database=database, blobs=blobs)) for _ in range(2)
        ]
        one, other = (
            parts.enter_context(grpc.insecure_channel(server.address)) for server in servers
        )
        first = Registry(one)
        yield first, Registry(other, first.name.removeprefix("namespaces/"))
