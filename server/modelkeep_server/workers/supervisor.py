"""The supervisor: it starts workers, starts one anew in place of one that ended, and stops all.

It serves no calls itself; it keeps the address that its workers share.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import wait
from types import FrameType

from modelkeep_server import app
from modelkeep_server.edge import ports
from modelkeep_server.edge.logs import Logger
from modelkeep_server.edge.stopping import FORCE_AFTER_SECONDS
from modelkeep_server.settings import Address, Settings
from modelkeep_server.values.start import StartError
from modelkeep_server.workers.figures import WorkerFigures
from modelkeep_server.workers.link import CantStart
from modelkeep_server.workers.place import Place
from modelkeep_server.workers.process import Message, Worker


def supervise(
    settings: Settings, log: Logger, ready: Callable[[Address, Address | None], None]
) -> int:
    """Serve by so many workers until told to stop, and answer the exit code."""
    app.check_addresses(settings)
    with ports.held(settings.listen.host, settings.listen.port) as port:
        address = replace(settings.listen, port=port)
        supervisor = Supervisor(replace(settings, listen=address, metrics_listen=None), log)
        figures = supervisor.figures.registry
        with app.serving_metrics(settings, figures, log) as metrics_address:
            return supervisor.run(lambda: ready(address, metrics_address))


class Supervisor:
    """Sees to it that so many workers serve."""

    def __init__(self, settings: Settings, log: Logger) -> None:
        """Give the workers these settings."""
        self._settings = settings
        self._log = log
        self._places = [Place(number) for number in range(1, settings.workers + 1)]
        self._woken, self._wake = Pipe(duplex=False)
        self._asked = 0  # by which signal
        self.figures = WorkerFigures(self._workers)

    def run(self, ready: Callable[[], None]) -> int:
        """Start all workers, tell `ready`, and see to them until a signal asks for the end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        try:
            self._begin()
            if not self._asked:
                ready()
                self._keep()
            self._log.info("stopping", reason=signal.Signals(self._asked).name)
            self._drain()
        finally:
            for worker in self._workers():
                worker.kill()
        return 0

    def _begin(self) -> None:
        """Start all; where one can't, none does."""
        for place in self._places:
            place.fill(self._settings)
        while not self._asked and not all(worker.is_serving for worker in self._workers()):
            for worker, message in self._messages(None):
                if isinstance(message, CantStart):
                    raise StartError(message.why)
                if message is None:
                    how = worker.how_it_ended()
                    raise StartError(f"a worker ended before it served: {how}")

    def _keep(self) -> None:
        """Start anew what ends, until asked to stop."""
        while not self._asked:
            pauses = [place.pause() for place in self._places if place.worker is None]
            for worker, message in self._messages(min(pauses, default=None)):
                if isinstance(message, CantStart):
                    self._log.error("worker can't start", worker=worker.number, why=message.why)
                if message is None:
                    self._ended(worker)
            for place in self._places:
                if place.worker is None and not place.pause():
                    place.fill(self._settings)
                    self.figures.restarts.inc()

    def _ended(self, worker: Worker) -> None:
        place = self._places[worker.number - 1]
        place.empty()
        self._log.error(
            "worker ended",
            worker=worker.number,
            how=worker.how_it_ended(),
            restart_seconds=round(place.pause(), 3),
        )

    def _drain(self) -> None:
        """Stop all, and wait for what is under way."""
        end = time.monotonic() + self._settings.drain_seconds + FORCE_AFTER_SECONDS
        for worker in self._workers():
            worker.stop()
        while self._workers() and (left := end - time.monotonic()) > 0:
            for worker, message in self._messages(left):
                if message is None:
                    self._places[worker.number - 1].empty()

    def _workers(self) -> list[Worker]:
        return [worker for place in self._places if (worker := place.worker) is not None]

    def _messages(self, seconds: float | None) -> Iterator[tuple[Worker, Message | None]]:
        """Wait so long for what workers say, or for a signal; nothing of one that has ended."""
        workers = self._workers()
        heard = wait([self._woken, *(worker.connection for worker in workers)], seconds)
        if self._woken in heard:
            self._woken.recv()
        for worker in workers:
            if worker.connection in heard:
                yield worker, worker.receive()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        """Take note of a signal; at the second all ends at once, the workers by their pipes."""
        if self._asked:
            os._exit(128 + number)
        self._asked = number
        self._wake.send(None)
