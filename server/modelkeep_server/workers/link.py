"""What a supervisor and a worker say to each other, over a pipe of their own.

The end of the pipe says that the other is gone: nobody else has it.
"""

import threading
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing.connection import Connection
from typing import Any

from prometheus_client.core import Metric

from modelkeep_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """To a worker: what it is to do. The first message."""

    number: int
    settings: Settings


class Order(Enum):
    """To a worker: what it is to do now."""

    STOP = auto()
    TELL_FIGURES = auto()


@dataclass(frozen=True, slots=True)
class Serving:
    """From a worker: calls are answered."""


@dataclass(frozen=True, slots=True)
class CantStart:
    """From a worker: why it ends without having served."""

    why: str


@dataclass(frozen=True, slots=True)
class Figures:
    """From a worker: what Prometheus may know."""

    metrics: list[Metric]


class Link:
    """One end of the pipe. Any thread may send, and one receives."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        """Use this connection."""
        self.connection = connection
        self._sending = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message; `OSError` where the other is gone."""
        with self._sending:
            self.connection.send(message)

    def receive(self) -> Any:
        """Wait for the next message; `EOFError` or `OSError` where the other is gone."""
        return self.connection.recv()
