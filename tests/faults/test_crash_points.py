"""A server that is killed at each step of each act: what was acknowledged is there, the rest is
whole or absent, and the act tried again has happened once."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from tests.collecting import age
from tests.faults.acts import ACTS, Act, act_of, prepare, prepare_garbage
from tests.faults.crashing_server import Plan, serve
from tests.faults.forked import ForkedServer
from tests.faults.state import state
from tests.places import memory
from tests.rounds import LONG, Tally
from tests.running import run_server
from tests.services.wire import Registry
from tests.verified import check_sound_here

STEPS_AFTER_SECONDS = 1
"""How long an act may go on after its answer."""


@dataclass(frozen=True)
class Prepared:
    """A stopped server's folder, and what it answered."""

    data: Path
    answers: list[Any]


@dataclass(frozen=True)
class Left:
    """What is left of a server: its folder."""

    data: Path
    database: None = None


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if there is one: what a killed process wrote is there all the same."""
    with TemporaryDirectory(dir=memory() or tmp_path) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    data = tmp_path_factory.mktemp("crash") / "data"
    with _registry(data) as registry:
        prepare_garbage(registry)
    age(Left(data))
    with _registry(data) as registry:
        prepare(registry)
        return Prepared(data, state(registry))


@contextmanager
def _registry(data: Path) -> Iterator[Registry]:
    """Run a normal server."""
    with run_server(data) as server, grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, "default")
        assert server.figure("modelkeep_internal_errors_total") == 0


def _run(plan: Plan, act: Act) -> int | None:
    """Run an act on a server that dies at its point, if it has one; tell the exit code."""
    server = ForkedServer(plan.data.with_suffix(".log"), serve, plan)
    try:
        with grpc.insecure_channel(server.address) as channel:
            registry = Registry(channel, "default")
            plan.armed.touch()
            if not plan.point:
                act.run(registry)
                _wait_for_the_last_step(plan.trace)
                plan.armed.unlink()
                act.check_done(registry)
                return None
            try:
                act.run(registry)
            except grpc.RpcError:
                return server.wait()
            return server.wait(STEPS_AFTER_SECONDS)  # nothing if it never comes to its point
    finally:
        server.kill()


def _wait_for_the_last_step(trace: Path) -> None:
    """Wait until nothing more is done: after the answer a log may be brought into its file."""
    size = -1
    while size != (size := trace.stat().st_size):
        time.sleep(0.1)


def _copy(prepared: Prepared, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(prepared.data, place)
    return place


def _points(trace: Path) -> list[tuple[str, str]]:
    """Choose steps, and at which side of each to die: all in the long round."""
    names = trace.read_text().splitlines()
    if LONG:
        return [(name, side) for name in names for side in ("before", "after")]
    # Between two steps nothing lasts, so one side of each says it all; and of many writes in a row
    # the first and the last do.
    kinds = [name.partition("#")[0] for name in names]
    around = zip(["", *kinds[:-1]], kinds, [*kinds[1:], ""], strict=True)
    ends = [name for name, three in zip(names, around, strict=True) if len(set(three)) > 1]
    return [(name, "before") for name in ends] + [(names[-1], "after")]


@pytest.mark.rounds("crash-points")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ACTS)
def test_a_kill_at_any_step_leaves_an_act_whole_or_absent(
    prepared: Prepared, place: Path, tally: Tally, what: str
) -> None:
    files = (place / "armed", place / "trace")
    data = _copy(prepared, place / "data")
    with _registry(data) as registry:
        act = act_of(what, registry, prepared.answers)
    _run(Plan(data, *files), act)
    points = _points(files[1])
    print(*dict.fromkeys(name for name, _ in points), sep="\n")  # noqa: T201  # `-rP` shows it

    missed: list[str] = []
    for point, side in points:
        files[0].unlink(missing_ok=True)
        act.acknowledged = 0
        data = _copy(prepared, place / "data")
        if _run(Plan(data, *files, point, side), act) != -9:
            missed.append(f"{side} {point}")
            continue
        tally.tried += 1
        print(f"a kill {side} {point} of: {what}")  # noqa: T201  # shown where it fails
        with tally.counting_faults():
            check_sound_here(data)
            with _registry(data) as registry:
                act.check_after_crash(registry)
                act.run(registry)
                act.check_done(registry)
            check_sound_here(data)
    # How often a large upload is made durable depends on how fast it comes.
    assert len(missed) <= len(points) // 5, missed
