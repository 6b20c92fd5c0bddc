"""The checker of histories, which is porcupine behind a few lines of Go."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "porcupine"


@dataclass
class Operation:
    """A call, as `porcupine/main.go` reads it."""

    client: int
    thing: str
    kind: str
    call: int
    number: int = 0
    etag: str = ""
    outcome: str = "unknown"
    got_number: int = 0
    got_etag: str = ""
    # A call whose answer was lost is open to the end.
    # `return` is a word of Python.
    ended: int = 2**62


class Checker:
    """A program that tells which things of a history are not linearizable."""

    def __init__(self, folder: Path) -> None:
        """Build it, or skip the test where there is no Go."""
        go = shutil.which("go")
        if go is None:
            pytest.skip("histories are checked by a program in Go, and there is no `go` on PATH")
        self._program = folder / "linearizable"
        subprocess.run([go, "build", "-o", str(self._program), "."], cwd=SOURCE, check=True)

    def verdict(self, history: Iterable[Operation]) -> dict[str, str]:
        """Tell of each thing whether it is `ok`, `illegal`, or `unknown` for want of time."""
        ran = subprocess.run(
            [self._program],
            input=json.dumps([_line(operation) for operation in history]),
            capture_output=True,
            text=True,
            check=True,
        )
        answer: dict[str, str] = json.loads(ran.stdout)
        return answer


def _line(operation: Operation) -> dict[str, object]:
    line = asdict(operation)
    return line | {"return": line.pop("ended")}
