"""A process as the kernel sees it, and how quickly its server answers."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process holds; memory in bytes."""

    memory: int
    peak_memory: int
    threads: int
    files: int


def vitals(pid: int) -> Vitals:
    """Look at a process."""
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    said = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    return Vitals(
        memory=int(said["VmRSS"][0]) * 1024,
        peak_memory=int(said["VmHWM"][0]) * 1024,
        threads=int(said["Threads"][0]),
        files=len(os.listdir(f"/proc/{pid}/fd")),
    )


def settled(pid: int, *, files: int, seconds: float = 30) -> Vitals:
    """Look at a process once it has let go of connections, or has had so long to do it."""
    end = time.monotonic() + seconds
    while (now := vitals(pid)).files > files and time.monotonic() < end:
        time.sleep(0.1)
    return now
