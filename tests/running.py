"""Servers in this process, each on an event loop and thread of its own."""

import io
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from tests.parts import s3

from modelkeep_server import app
from modelkeep_server.edge.access import OpenAccess
from modelkeep_server.edge.handlers import Edge
from modelkeep_server.edge.identity import OpenIdentity
from modelkeep_server.edge.logs import LineWriter, logger
from modelkeep_server.edge.methods import Service
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.edge.server import GrpcServer
from modelkeep_server.edge.stopping import Stop
from modelkeep_server.settings import load
from modelkeep_server.values.capacity import Capacity
from modelkeep_server.values.hints import ReadTogether

PRINCIPAL_KEY = b"a key of these tests"


@dataclass
class RunningServer:
    """A server, and what it said."""

    address: str
    data: Path
    database: str | None
    metrics: Metrics
    stop: Stop
    thread: threading.Thread
    _lines: LineWriter
    _file: io.StringIO

    def log(self) -> list[dict[str, Any]]:
        """Give the log so far."""
        self._lines.drain()
        return [json.loads(line) for line in self._file.getvalue().splitlines()]

    def figure(self, name: str, **labels: str) -> float:
        """Give one of the metrics; 0 where it was never counted."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


Ready = Callable[[str], None]
Run = Callable[[Ready], Coroutine[Any, Any, None]]


@contextmanager
def run_server(data: Path, **settings: str) -> Iterator[RunningServer]:
    """Run all of modelkeep with these settings, given as flags would be."""
    flags = {"data": str(data), "listen": "127.0.0.1:0", "metrics_listen": "off"}
    given = load(flags | {"drain_seconds": "5"} | settings, environment=s3.ENVIRONMENT)
    database = settings.get("database")

    def start(parts: _Parts) -> tuple[Run, Stop, Callable[[], None]]:
        built = app.build(given, parts.log, parts.metrics)

        async def run(ready: Ready) -> None:
            await built.run(lambda address, _: ready(str(address)))

        return run, built.stop, built.close

    with _running(data, start, database) as running:
        yield running


def of_database(url: str | None) -> dict[str, str]:
    """Give the setting that names a database, unless it is the server's own."""
    return {} if url is None else {"database": url}


@contextmanager
def run_edge(
    *services: Service,
    capacity: Capacity | None = None,
    drain_seconds: float = 2,
    read_together: ReadTogether | None = None,
) -> Iterator[RunningServer]:
    """Run the edge alone around these services."""

    def start(parts: _Parts) -> tuple[Run, Stop, Callable[[], None]]:
        stop = Stop()
        identity = OpenIdentity(PRINCIPAL_KEY)
        edge = Edge(
            identity,
            OpenAccess(),
            capacity or Capacity(),
            parts.metrics,
            parts.log,
            read_together=read_together,
        )

        async def run(ready: Ready) -> None:
            server = GrpcServer(edge, services, parts.metrics)
            port = await server.start("127.0.0.1", 0)
            ready(f"127.0.0.1:{port}")
            await stop.wait()
            await server.stop(drain_seconds)

        return run, stop, lambda: None

    with _running(Path(), start) as running:
        yield running


class _Parts:
    def __init__(self) -> None:
        self.metrics = Metrics("test")
        self.file = io.StringIO()
        self.lines = LineWriter(self.file, self.metrics.dropped_log_lines.inc)
        self.log = logger(self.lines, "json", "debug")


@contextmanager
def _running(
    data: Path,
    start: Callable[[_Parts], tuple[Run, Stop, Callable[[], None]]],
    database: str | None = None,
) -> Iterator[RunningServer]:
    parts = _Parts()
    run, stop, close = start(parts)
    addresses: list[str] = []
    problems: list[BaseException] = []
    is_ready = threading.Event()

    def ready(address: str) -> None:
        addresses.append(address)
        is_ready.set()

    def work() -> None:
        try:
            uvloop.run(run(ready))
        except BaseException as problem:
            problems.append(problem)
        finally:
            is_ready.set()

    thread = threading.Thread(target=work, name="server", daemon=True)
    thread.start()
    try:
        is_ready.wait(timeout=20)
        if problems:
            raise problems[0]
        yield RunningServer(
            addresses[0], data, database, parts.metrics, stop, thread, parts.lines, parts.file
        )
    finally:
        stop.ask("the test is over")
        thread.join(timeout=20)
        close()
        parts.lines.close()
    assert not thread.is_alive()
    if problems:
        raise problems[0]
