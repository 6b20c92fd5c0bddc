"""The real parts, as fixtures."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.running import RunningServer, run_server


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
