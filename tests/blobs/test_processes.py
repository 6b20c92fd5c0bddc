"""A folder of blobs that several processes of a machine use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.blobs.spec import DATA, SIZE, content

from modelkeep.errors import AbortedError
from modelkeep_server.blobs import LocalStore

_WRITER = """
import sys
from pathlib import Path
from modelkeep_server.blobs import LocalStore

store = LocalStore(Path(sys.argv[1]), print)
part = store.stage(100, sys.argv[2] or None)
part.write(b"durable")
part.flush()
print(part.key, flush=True)
for command in sys.stdin:
    getattr(part, command.strip())()
    print("done", flush=True)
"""


class Writer:
    """Another process that has a part open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.key = self._line()

    def ask(self, method: str) -> None:
        """Let it do something with the part, and wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{method}\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def writer(folder: Path, key: str = "") -> Iterator[Writer]:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder), key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Writer(process)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, print)


def test_a_part_of_a_live_process_is_not_taken(store: LocalStore, tmp_path: Path) -> None:
    with writer(tmp_path) as other:
        with pytest.raises(AbortedError) as refused:
            store.stage(SIZE, other.key)
        store.remove_staged(other.key)

        assert refused.value.reason == "UPLOAD_IN_PROGRESS"
        other.ask("publish")
    assert content(store, other.key) == b"durable"


@pytest.mark.parametrize("end", ["close", "publish", "kill"])
def test_a_part_is_taken_from_a_process_that_let_go_of_it(
    store: LocalStore, tmp_path: Path, end: str
) -> None:
    with writer(tmp_path) as other:
        if end == "kill":
            other.kill()
        else:
            other.ask(end)
        part = store.stage(SIZE, other.key)

        assert b"".join(part.read()) == b"durable"
        part.write(DATA)
        part.publish()
    assert content(store, part.key) == (b"durable" + DATA)[: SIZE + 1]


def test_what_another_process_has_taken_is_left_alone(store: LocalStore, tmp_path: Path) -> None:
    part = store.stage(SIZE)
    part.close()
    with writer(tmp_path, part.key) as other:
        part.discard()
        other.ask("publish")

    assert content(store, part.key) == b"durable"
