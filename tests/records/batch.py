"""Requests that a database commits at once."""

import threading
from concurrent.futures import Future
from typing import Any, Protocol

from modelkeep_server.records.batches import Work
from modelkeep_server.records.sql import Session


class Queued(Protocol):
    """A database with a queue of requests."""

    def submit(self, work: Work[Any]) -> Future[Any]: ...


class Batch:
    """Holds the writer, so that all that is submitted meanwhile is one batch."""

    def __init__(self, database: Queued) -> None:
        self._database = database
        self._go_on = threading.Event()
        self._held = threading.Event()

    def __enter__(self) -> None:
        def hold(_: Session) -> None:
            self._held.set()
            self._go_on.wait(10)

        self._database.submit(hold)
        assert self._held.wait(10)

    def __exit__(self, *_: object) -> None:
        self._go_on.set()
