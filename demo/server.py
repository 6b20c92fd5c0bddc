"""A server for the demo, started as a newcomer would: `modelkeep serve`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run a server on a new data folder, and answer its address."""
    log = folder / "server.log"
    command = [
        *(sys.executable, "-m", "modelkeep_server", "--data", str(folder / "modelkeep-data")),
        *("--listen", "127.0.0.1:0", "--metrics-listen", "off", "--log-format", "json"),
    ]
    with log.open("w") as output:
        process = subprocess.Popen(command, stderr=output)
    try:
        yield _address(log, process)
    finally:
        process.terminate()
        if process.wait(timeout=60) != 0:
            raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text()}")


def environment(address: str, folder: Path) -> dict[str, str]:
    """Give the environment that clients of the demo run in."""
    return os.environ | {"MODELKEEP_URL": address, "MODELKEEP_CACHE": str(folder / "cache")}


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    for _ in range(600):
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == "serving":
                return str(entry["address"])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()}")
