"""Two servers of one registry: one database of Postgres, one place for blobs."""

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest
from tests.parts.postgres import Postgres, new_database
from tests.running import run_server
from tests.services.wire import Registry

Pair = tuple[Registry, Registry]


@pytest.fixture(scope="session")
def addresses(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres
) -> Iterator[tuple[str, str]]:
    """Where two servers are that tests share."""
    data = tmp_path_factory.mktemp("replicas") / "data"
    url = new_database(postgres_server.url())
    with run_server(data, database=url) as one, run_server(data, database=url) as other:
        yield one.address, other.address


@pytest.fixture
def pair(addresses: tuple[str, str]) -> Iterator[Pair]:
    """A new namespace, spoken to at either server."""
    with ExitStack() as parts:
        one, other = (parts.enter_context(grpc.insecure_channel(where)) for where in addresses)
        first = Registry(one)
        yield first, Registry(other, first.name.removeprefix("namespaces/"))
