"""Disks that fail, and servers on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.faulty_disk import FaultyDisk, faulty_disk
from tests.services.processes import ServerProcess, serving


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FaultyDisk]:
    """An empty disk that does what it should until told otherwise."""
    with faulty_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.fixture
def disk_server(disk: FaultyDisk, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server process on `disk`."""
    with serving(disk.path / "data", log=tmp_path / "log") as running:
        yield running
