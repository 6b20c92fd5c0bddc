"""One server for all these tests; each has a namespace of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from tests.running import RunningServer, of_database, run_server
from tests.services.wire import Registry


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], str | None]
) -> Iterator[RunningServer]:
    """A server that tests share: nobody may look at more than what they made."""
    data = tmp_path_factory.mktemp("shared") / "data"
    with run_server(data, **of_database(make_database())) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, database: str | None) -> Iterator[RunningServer]:
    """A server of one test alone."""
    with run_server(tmp_path / "server-data", **of_database(database)) as running:
        yield running


@pytest.fixture(scope="session")
def shared_channel(shared: RunningServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(shared.address) as channel:
        yield channel


@pytest.fixture
def registry(shared: RunningServer, shared_channel: grpc.Channel) -> Iterator[Registry]:
    """A new namespace of the shared server; an internal error is a failure, whoever meets it."""
    before = shared.figure("modelkeep_internal_errors_total")
    yield Registry(shared_channel)
    if shared.figure("modelkeep_internal_errors_total") != before:
        pytest.fail(next(line["exception"] for line in shared.log()[::-1] if "exception" in line))
