"""The real parts, as fixtures."""

import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.rounds import Tally, tallying
from tests.running import RunningServer, run_server


def pytest_configure() -> None:
    """Let programs under test hear Ctrl-C: what is started in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
