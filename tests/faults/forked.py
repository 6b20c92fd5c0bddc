"""Servers in processes that are forked from one where modelkeep is loaded already.

A start costs 30 ms this way, so that a crash can be tried at each of hundreds of steps.
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.services.processes import OPTIONS

_CONTEXT = multiprocessing.get_context("forkserver")
# This module too: unpickling the function that runs would import what it imports.
_CONTEXT.set_forkserver_preload(
    [__name__, "tests.faults.crashing_production", "tests.faults.crashing_move"]
)


class ForkedServer:
    """A server in a process of its own: `serve` gets the arguments, then flags."""

    def __init__(self, log: Path, serve: Callable[..., int], *arguments: Any) -> None:
        self._log = log
        log.write_text("")
        self.process = _CONTEXT.Process(
            target=_run, args=(log, serve, *arguments, *OPTIONS), daemon=True
        )
        self.process.start()
        self.address: str = json.loads(self._first_line())["address"]

    def wait(self, seconds: float = 20) -> int | None:
        """Wait until it ends, and tell its exit code: -9 where it was killed."""
        self.process.join(seconds)
        return self.process.exitcode

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.wait()

    def _first_line(self) -> str:
        end = time.monotonic() + 20
        while "\n" not in (text := self._log.read_text()) and time.monotonic() < end:
            assert self.process.is_alive(), text
            time.sleep(0.002)
        return text.partition("\n")[0]


def run_forked(log: Path, function: Callable[..., int], *arguments: Any) -> int | None:
    """Run a function to its end, and tell the exit code: -9 where it was killed."""
    log.write_text("")
    process = _CONTEXT.Process(target=_run, args=(log, function, *arguments), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode is not None, log.read_text()
    return process.exitcode


def _run(log: Path, serve: Callable[..., int], *arguments: Any) -> None:
    """Run in the new process."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), sys.stderr.fileno())
    sys.exit(serve(*arguments))
