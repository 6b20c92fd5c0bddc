"""Data folders to be damaged, and whether a server starts on them."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from tests.running import run_server
from tests.services.wire import Registry

from modelkeep_server import app
from modelkeep_server.edge.logs import LineWriter, logger
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.settings import load
from modelkeep_server.values.start import StartError

_LOG = logger(LineWriter(io.StringIO(), lambda: None), "json", "error")
FILES = {"model.bin": bytes(300_000), "config.json": b"{}"}


@contextmanager
def started(data: Path) -> Iterator[Registry]:
    """Start a server on a folder, and speak to it."""
    with run_server(data) as server, grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, "default")


def refusal(data: Path) -> str:
    """Expect a server not to start on a folder, and to leave it as it is; give what it says."""
    before = content(data)
    with pytest.raises(StartError) as refused, run_server(data):
        pytest.fail("it started")
    assert content(data) == before
    text = str(refused.value)
    assert "\n" not in text
    assert re.search(r"; \w+", text), "it doesn't say what to do"
    return text


def build_or_refuse(data: Path) -> str:
    """Open a folder as a server does before it serves; give what is said where that is refused."""
    given = load({"data": str(data), "metrics_listen": "off"}, environment={})
    try:
        built = app.build(given, _LOG, Metrics("test"))
    except StartError as refused:
        return str(refused)
    built.close()
    return ""


def content(data: Path) -> dict[str, bytes]:
    """Give what lies in a folder, but for what only says who uses it and how."""
    files = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(data)): found
        for path, found in files.items()
        if found and path.name not in ("lock", "modelkeep.db-shm")
    }
