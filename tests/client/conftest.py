"""A client of a whole server, with a cache of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.client.proxy import Proxy
from tests.running import RunningServer

import modelkeep

Folder = Callable[..., Path]


@pytest.fixture
def registry(server: RunningServer, tmp_path: Path) -> Iterator[modelkeep.Client]:
    with modelkeep.Client(server.address, cache=tmp_path / "cache", user="ada") as client:
        yield client


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[Proxy]:
    """A way to the server that can be cut."""
    with Proxy(server.address) as proxy:
        yield proxy


@pytest.fixture
def shaky(proxy: Proxy, tmp_path: Path) -> Iterator[modelkeep.Client]:
    """A client that goes through `proxy`."""
    with modelkeep.Client(proxy.address, cache=tmp_path / "cache", user="ada") as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a folder of files: `folder("out", {"a/b.txt": b"…"})`."""

    def make(name: str, files: dict[str, bytes]) -> Path:
        top = tmp_path / name
        for path, data in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(data)
        return top

    return make


def content(top: Path) -> dict[str, bytes]:
    """Give the files below a folder."""
    return {
        str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()
    }
