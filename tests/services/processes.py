"""Servers in processes of their own, to be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from tests.services.wire import Registry

PROGRAM = ("-m", "modelkeep_server")
OPTIONS = ("--listen", "127.0.0.1:0", "--metrics-listen", "off", "--log-format", "json")


class ServerProcess:
    """A server as people start it; its log lies beside the data folder unless told otherwise."""

    def __init__(
        self,
        data: Path,
        *options: str,
        log: Path | None = None,
        program: Sequence[str] = PROGRAM,
        database: str | None = None,
    ) -> None:
        self.data = data
        self.database = database
        if database is not None:
            options += ("--database", database)
        self.log_file = log or data.with_name(f"{data.name}.log")
        command = [sys.executable, *program, *OPTIONS, *options, "--data", str(data)]
        with self.log_file.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                stderr=stderr,
            )
        try:
            serving = json.loads(self._greeting(self.log_file))
            self.address: str = serving["address"]
            self.metrics: str = serving["metrics"]
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def log(self) -> str:
        """Give what it said so far."""
        return self.log_file.read_text()

    def said(self, event: str) -> list[dict[str, Any]]:
        """Give the entries of its log about an event."""
        lines = self.log().splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if entry["event"] == event]

    def workers(self) -> list[int]:
        """Give the ids of the processes that it has started."""
        started = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in started.split()]

    def kill(self) -> None:
        """End it as a power cut would, but for what the kernel has."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def exit_code(self) -> int:
        """Wait until it has stopped by itself."""
        return self._process.wait(timeout=60)

    def _end(self, number: int) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        self._process.wait(timeout=20)

    def _greeting(self, log: Path) -> str:
        end = time.monotonic() + 60
        while '"event": "serving"' not in (text := log.read_text()) and time.monotonic() < end:
            assert self._process.poll() is None, text
            time.sleep(0.02)
        return next(line for line in text.splitlines() if '"event": "serving"' in line)


@contextmanager
def serving(
    data: Path,
    *options: str,
    log: Path | None = None,
    program: Sequence[str] = PROGRAM,
    database: str | None = None,
) -> Iterator[ServerProcess]:
    """Run a server process until the end of the block, if it is not killed before."""
    server = ServerProcess(data, *options, log=log, program=program, database=database)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def registry_of(server: ServerProcess, namespace: str = "default") -> Iterator[Registry]:
    """Speak to a server process."""
    with grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, namespace)
