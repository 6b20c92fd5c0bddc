"""A clock that jumps back an hour: the log's time goes on, and nobody waits for the hour."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.services.processes import registry_of, serving
from tests.services.wire import MIB, Registry, UploadStream, chunk, chunks, digest, header, refused

from modelkeep.v1 import version_service_pb2
from modelkeep_server.blobs.local_staged import FLUSH_BYTES

HOUR = 3600
# Twice what is made durable at once, and what comes after it.
LARGE = bytes(2 * FLUSH_BYTES + 2 * MIB)
PROGRAM = str(Path(__file__).with_name("shifted_clock.py"))


class Clock:
    """The clock of a server in another process."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.shift(0)

    def shift(self, seconds: int) -> None:
        """Let it be so much before or behind."""
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "shift")


@contextmanager
def _serving(data: Path, clock: Clock) -> Iterator[Registry]:
    with (
        serving(data, program=(PROGRAM, str(clock.file))) as server,
        registry_of(server) as registry,
    ):
        yield registry
        server.stop()


def _times(registry: Registry) -> list[int]:
    return [event.log_time.ToMicroseconds() for event in registry.log("namespaces/default")]


def _number_at(registry: Registry, micros: int) -> int:
    at = Timestamp()
    at.FromMicroseconds(micros)
    request = version_service_pb2.GetVersionRequest(name=registry.version("@best"), as_of_time=at)
    return registry.versions.GetVersion(request).number


def _check_history(registry: Registry, moved: list[int]) -> None:
    """Hold the log to its order, and `as of` to what was moved when."""
    times = _times(registry)
    assert times == sorted(set(times))
    assert [_number_at(registry, micros) for micros in moved] == list(range(1, len(moved) + 1))


def _move(registry: Registry, number: int) -> int:
    """Make a version and point the alias at it; give the event's time."""
    assert registry.create().number == number
    registry.set_alias("best", number)
    return _times(registry)[-1]


def test_log_times_never_run_back(tmp_path: Path, clock: Clock) -> None:
    with _serving(tmp_path / "data", clock) as registry:
        moved = [_move(registry, 1)]
        clock.shift(-HOUR)
        moved.append(_move(registry, 2))
        _check_history(registry, moved)
    with _serving(tmp_path / "data", clock) as registry:
        moved.append(_move(registry, 3))
        clock.shift(0)
        moved.append(_move(registry, 4))
        _check_history(registry, moved)


def test_a_repeat_is_known_when_the_clock_was_set_back(tmp_path: Path, clock: Clock) -> None:
    request_id = str(uuid.uuid4())
    with _serving(tmp_path / "data", clock) as registry:
        sealed = registry.seal({"f": b"x"})
        first = registry.create(files=sealed, request_id=request_id)
        clock.shift(-HOUR)
        assert registry.create(files=sealed, request_id=request_id) == first
        second = registry.create(files=sealed, request_id=(another := str(uuid.uuid4())))
        clock.shift(HOUR)
        assert registry.create(files=sealed, request_id=another) == second
        assert registry.numbers() == [2, 1]


def test_a_lease_of_before_the_jump_holds_nobody_up(tmp_path: Path, clock: Clock) -> None:
    with _serving(tmp_path / "data", clock) as registry:
        silent = _begun(registry)
        with refused("ABORTED", "UPLOAD_IN_PROGRESS"):
            registry.push_blobs(LARGE)

        clock.shift(-HOUR)
        registry.push_blobs(LARGE)
        assert registry.missing(digest(LARGE)) == {}
        silent.cancel()


def test_an_upload_goes_on_over_the_jump(tmp_path: Path, clock: Clock) -> None:
    with _serving(tmp_path / "data", clock) as registry:
        stream = _begun(registry)
        clock.shift(-HOUR)
        stream.send(chunk(LARGE[-MIB:]))
        assert stream.answers()[-1].complete
        assert registry.missing(digest(LARGE)) == {}


def _begun(registry: Registry) -> UploadStream:
    """Send all but the last of a blob, until nothing is left to be done about it."""
    stream = registry.stream()
    stream.send(header(registry.name, digest(LARGE), len(LARGE)), *chunks(LARGE[:-MIB]))
    while registry.missing(digest(LARGE))[digest(LARGE)] < 2 * FLUSH_BYTES:
        time.sleep(0.05)
    return stream
