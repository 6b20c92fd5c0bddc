"""Servers in processes of their own, to be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from tests.services.wire import Registry

OPTIONS = ("--listen", "127.0.0.1:0", "--metrics-listen", "off", "--log-format", "json")


class ServerProcess:
    """A server as people start it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._log = log = data.with_name(f"{data.name}.log")
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelkeep_server", *OPTIONS, *options, "--data", str(data)],
                stderr=stderr,
            )
        self.address: str = json.loads(self._first_line(log))["address"]

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def log(self) -> str:
        """Give what it said so far."""
        return self._log.read_text()

    def kill(self) -> None:
        """End it as a power cut would, but for what the kernel has."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        self._process.wait(timeout=20)

    def _first_line(self, log: Path) -> str:
        end = time.monotonic() + 20
        while "\n" not in (text := log.read_text()) and time.monotonic() < end:
            assert self._process.poll() is None, text
            time.sleep(0.02)
        return text.partition("\n")[0]


@contextmanager
def serving(data: Path, *options: str) -> Iterator[ServerProcess]:
    """Run a server process until the end of the block, if it is not killed before."""
    server = ServerProcess(data, *options)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def registry_of(server: ServerProcess, namespace: str = "default") -> Iterator[Registry]:
    """Speak to a server process."""
    with grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, namespace)
