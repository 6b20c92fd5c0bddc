"""A worker: `python -m modelkeep_server.workers.worker PIPE`, which only a supervisor starts.

It serves as a server alone does, but at an address that it shares.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from modelkeep_server import app, serving
from modelkeep_server.edge.allocator import keep_memory
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.edge.stopping import Stop
from modelkeep_server.settings import Address
from modelkeep_server.values.start import StartError
from modelkeep_server.workers.link import CantStart, Figures, Link, Order, Serving, Task

EXIT_CANT_START = 1


def main() -> int:
    """Do the task that comes by the pipe; answer the exit code."""
    keep_memory()
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    link = Link(connection)
    task: Task = link.receive()
    figures = Metrics(app.version())
    log = serving.open_log(task.settings, figures.dropped_log_lines.inc, worker=task.number)
    try:
        server = app.build(task.settings, log.logger, figures)
        _obey(link, server.stop, figures)

        def ready(_address: Address, _metrics: Address | None) -> None:
            link.send(Serving())

        return serving.serve(server, log, ready, once=True)
    except StartError as problem:
        link.send(CantStart(str(problem)))
        return EXIT_CANT_START


def _obey(link: Link, stop: Stop, figures: Metrics) -> None:
    """Do what the supervisor says; end at once where it is gone."""

    def work() -> None:
        with suppress(EOFError, OSError):
            while True:
                match link.receive():
                    case Order.STOP:
                        stop.ask(signal.SIGTERM.name)
                    case Order.TELL_FIGURES:
                        link.send(Figures(list(figures.registry.collect())))
        os._exit(128 + signal.SIGKILL)  # whoever serves here next needs the port

    threading.Thread(target=work, name="supervisor", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
