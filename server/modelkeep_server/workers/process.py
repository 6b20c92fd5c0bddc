"""A worker as its supervisor sees it: a process, and the pipe to it."""

import queue
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from typing import TypeAlias

from prometheus_client.core import Metric

from modelkeep_server.settings import Settings
from modelkeep_server.workers.link import CantStart, Figures, Link, Order, Serving, Task

FIGURES_SECONDS = 2.0
EXIT_SECONDS = 10.0

Message: TypeAlias = Serving | CantStart | Figures

# Without the current folder: what lies there is none of modelkeep's.
_PROGRAM = ("-P", "-m", "modelkeep_server.workers.worker")


class Worker:
    """One process that serves, or is about to. On the supervisor's thread."""

    def __init__(self, number: int, settings: Settings) -> None:
        """Start it, as a program anew: a copy of this process could not use grpc.

        It has a session of its own, so that Ctrl-C reaches it by its supervisor alone.
        """
        self.number = number
        self.is_serving = False
        ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, *_PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.connection = ours
        self._link = Link(ours)
        self._figures: queue.SimpleQueue[list[Metric]] = queue.SimpleQueue()
        self._send(Task(number, settings))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def receive(self) -> Message | None:
        """Take the next message; nothing where the process has ended."""
        try:
            message: Message = self._link.receive()
        except (EOFError, OSError):
            self._reap()
            return None
        match message:
            case Serving():
                self.is_serving = True
            case Figures(metrics):
                self._figures.put(metrics)
        return message

    def stop(self) -> None:
        """Let it end what is under way, and then end. One that serves nothing yet ends at once."""
        if self.is_serving:
            self._send(Order.STOP)
        else:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def how_it_ended(self) -> str:
        """Say it in words."""
        code = self._process.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def ask_figures(self) -> None:
        """Ask for its figures. From another thread, one at a time; so is `figures`."""
        while not self._figures.empty():
            self._figures.get()
        self._send(Order.TELL_FIGURES)

    def figures(self) -> list[Metric]:
        """Give what it was asked for, or nothing where it doesn't answer."""
        with suppress(queue.Empty):
            return self._figures.get(timeout=FIGURES_SECONDS)
        return []

    def _send(self, message: object) -> None:
        with suppress(OSError):  # it has ended; `receive` says so
            self._link.send(message)

    def _reap(self) -> None:
        try:
            self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._link.connection.close()
        self.is_serving = False
