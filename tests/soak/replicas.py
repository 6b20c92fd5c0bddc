"""Three replicas, two of which are ended and started again; what each takes is sampled.

One is never restarted, so that what would grow in it for as long as it runs does.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.asking import QUICKLY
from tests.parts.ports import free_port
from tests.services.processes import ServerProcess

COUNT = 3
_DRAIN_SECONDS = 8
# A client of its own has connections of its own, one to each replica, which take turns.
BALANCED: Sequence[tuple[str, Any]] = (
    *QUICKLY,
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a replica takes. Sizes in bytes."""

    rss: int
    fds: int


class Replica:
    """A place in the registry at a port of its own."""

    def __init__(self, folder: Path, database: str, blobs: str) -> None:
        self.samples: list[Sample] = []
        self.logs: list[Path] = []
        self._folder = folder
        self._database = database
        self._port = free_port()
        options = ("--listen", self.address, "--drain-seconds", str(_DRAIN_SECONDS))
        self._options = (*options, "--blobs", blobs)
        self._lock = threading.Lock()
        self._process = self._start()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"127.0.0.1:{self._port}"

    def restart(self, *, kill: bool) -> None:
        """End it, as a power cut would or as an operator would, and start it again."""
        with self._lock:
            self.end(kill=kill)
            self._process = self._start()

    def end(self, *, kill: bool) -> None:
        """End it."""
        self._process.kill() if kill else self._process.stop()

    def sample(self) -> None:
        """Note what it takes, unless it is restarted just now."""
        if self._lock.acquire(blocking=False):
            try:
                self.samples.append(_sample(self._process.pid))
            finally:
                self._lock.release()

    def errors(self) -> list[str]:
        """Give what it said that should not happen."""
        lines = [line for log in self.logs for line in log.read_text().splitlines()]
        return [line for line in lines if '"level": "error"' in line]

    def _start(self) -> ServerProcess:
        log = self._folder.with_name(f"{self._folder.name}-{len(self.logs)}.log")
        self.logs.append(log)
        return ServerProcess(self._folder, *self._options, log=log, database=self._database)


class Replicas:
    """All replicas of a registry."""

    def __init__(self, folder: Path, database: str, blobs: str) -> None:
        self.restarts = 0
        self.all = [Replica(folder / f"replica-{n}", database, blobs) for n in range(COUNT)]
        # Each of the two in turn, and each in both ways.
        self._next = cycle((n, kill) for kill in (False, True) for n in range(1, COUNT))

    @property
    def address(self) -> str:
        """Where all of them are, for a client that takes turns."""
        return "ipv4:" + ",".join(replica.address for replica in self.all)

    def restart_one(self) -> None:
        """Restart the next one."""
        number, kill = next(self._next)
        self.all[number].restart(kill=kill)
        self.restarts += 1

    def sample(self) -> None:
        """Sample each."""
        for replica in self.all:
            replica.sample()


@contextmanager
def replicas(folder: Path, database: str, blobs: str) -> Iterator[Replicas]:
    """Run the replicas until the end of the block."""
    running = Replicas(folder, database, blobs)
    try:
        yield running
    finally:
        for replica in running.all:
            replica.end(kill=True)


def quarters(samples: Sequence[Sample]) -> tuple[Sample, Sample]:
    """Give the medians of the first and of the last quarter."""
    size = max(1, len(samples) // 4)
    return _median(samples[:size]), _median(samples[-size:])


def _median(samples: Sequence[Sample]) -> Sample:
    rss, fds = ([getattr(one, what) for one in samples] for what in ("rss", "fds"))
    return Sample(round(median(rss)), round(median(fds)))


def _sample(pid: int) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Sample(int(line.split()[1]) * 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())))
