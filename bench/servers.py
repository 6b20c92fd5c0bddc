"""The servers under measurement, each a process of its own on loopback."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.s3 import ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Running:
    """A server: its address, its process, and how long it took to be ready."""

    address: str
    pid: int
    ready_seconds: float


@contextmanager
def modelkeep(data: Path, *options: str) -> Iterator[Running]:
    """Run modelkeep on a data folder; it has the keys of the bench's S3 store."""
    command = [
        *(sys.executable, "-m", "modelkeep_server", "--data", str(data)),
        *("--listen", "127.0.0.1:0", "--metrics-listen", "off", "--log-format", "json"),
        *options,
    ]
    started = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=data.parent, suffix=".log") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ | ENVIRONMENT)
        try:
            address = _address(Path(log.name), process)
            yield Running(address, process.pid, time.monotonic() - started)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def bare() -> Iterator[Running]:
    """Run a server that does nothing."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = process.stdout.readline().strip() if process.stdout else ""
        yield Running(f"127.0.0.1:{port}", process.pid, time.monotonic() - started)
    finally:
        process.kill()
        process.wait()


def memory_mib(pid: int) -> float:
    """Tell a process's resident memory."""
    return _memory(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """Tell the most resident memory that a process ever had."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, which: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} tells no memory")


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    for _ in range(1_000):
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == "serving":
                return str(entry["address"])
        if process.poll() is not None:
            raise RuntimeError(f"modelkeep did not start: {log.read_text()}")
        time.sleep(0.01)
    raise RuntimeError("modelkeep was not ready within 10 s")
