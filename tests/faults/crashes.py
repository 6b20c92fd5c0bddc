"""Acts on a server that is killed at each of their steps, each time in a copy of one registry.

What was acknowledged is there after the kill, the rest is whole or absent, and the act tried again
has happened once.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from tests.faults.acts import Act, Large, act_of
from tests.faults.crashing_server import Plan
from tests.faults.forked import ForkedServer
from tests.faults.registries import Settings, check_sound_at, flags_of, registry_at
from tests.rounds import Tally
from tests.services.wire import Registry

STEPS_AFTER_SECONDS = 1
"""How long an act may go on after its answer."""

Point: TypeAlias = tuple[str, str]
"""A step's name, and at which side of it to die."""


@dataclass(frozen=True)
class Ground:
    """A stopped registry that acts are tried on.

    Attributes:
        copied: Makes a copy, and drops it at the end of the block.
        serve: Serves one until the point of a plan comes.
        answers: What the registry answers.
        large: The large blobs of the acts.
    """

    copied: Callable[[], AbstractContextManager[Settings]]
    serve: Callable[..., int]
    answers: list[Any]
    large: Large


@dataclass(frozen=True)
class Crashes:
    """The kills of an act; `folder` is for the files that tell the server when."""

    ground: Ground
    folder: Path
    tally: Tally

    def each(self, what: str, choose: Callable[[Sequence[str]], list[Point]]) -> None:
        """Try an act, and then a kill at each point that is chosen of the names of its steps."""
        act, names = self._whole(what)
        points = choose(names)
        print(*dict.fromkeys(name for name, _ in points), sep="\n")  # noqa: T201  # `-rP` shows it
        killed = [point for point in points if self._kill(act, what, *point)]
        # How often a large upload is made durable depends on how fast it comes, and how often the
        # log is on how many commits go together; so a run may have fewer steps of a kind.
        missed = [f"{side} {name}" for name, side in points if (name, side) not in killed]
        assert len(missed) <= len(points) // 5, missed
        assert _kinds(killed) == _kinds(points), missed

    def _whole(self, what: str) -> tuple[Act, list[str]]:
        """Do an act without a kill; answer it, and the names of its steps."""
        with self.ground.copied() as settings:
            with registry_at(settings) as registry:
                act = act_of(what, registry, self.ground.answers, self.ground.large)
            plan = self._plan(settings)
            server = ForkedServer(self._log, self.ground.serve, plan, *flags_of(settings))
            try:
                with grpc.insecure_channel(server.address) as channel:
                    plan.armed.touch()
                    act.run(Registry(channel, "default"))
                    _wait_for_the_last_step(plan.trace)
                    plan.armed.unlink()
                    act.check_done(Registry(channel, "default"))
            finally:
                server.kill()
        return act, plan.trace.read_text().splitlines()

    def _kill(self, act: Act, what: str, point: str, side: str) -> bool:
        """Try a kill; answer whether it came to its point."""
        act.acknowledged = 0
        with self.ground.copied() as settings:
            if self._run(settings, act, point, side) != -9:
                return False
            self.tally.tried += 1
            print(f"a kill {side} {point} of: {what}")  # noqa: T201  # shown where it fails
            with self.tally.counting_faults():
                check_sound_at(settings)
                with registry_at(settings) as registry:
                    act.check_after_crash(registry)
                    act.run(registry)
                    act.check_done(registry)
                check_sound_at(settings)
        return True

    def _run(self, settings: Settings, act: Act, point: str, side: str) -> int | None:
        """Do an act on a server that dies at a point; tell its exit code."""
        plan = self._plan(settings, point, side)
        server = ForkedServer(self._log, self.ground.serve, plan, *flags_of(settings))
        try:
            with grpc.insecure_channel(server.address) as channel:
                plan.armed.touch()
                try:
                    act.run(Registry(channel, "default"))
                except grpc.RpcError:
                    return server.wait()
                return server.wait(STEPS_AFTER_SECONDS)  # nothing if it never comes to its point
        finally:
            server.kill()

    def _plan(self, settings: Settings, point: str = "", side: str = "") -> Plan:
        armed, trace = self.folder / "armed", self.folder / "trace"
        armed.unlink(missing_ok=True)
        trace.write_text("")
        return Plan(Path(settings["data"]), armed, trace, point, side)

    @property
    def _log(self) -> Path:
        return self.folder / "log"


def ends(names: Sequence[str]) -> list[str]:
    """Choose the first and the last of many of one kind in a row."""
    kinds = [kind_of(name) for name in names]
    around = zip(["", *kinds[:-1]], kinds, [*kinds[1:], ""], strict=True)
    return [name for name, three in zip(names, around, strict=True) if len(set(three)) > 1]


def kind_of(name: str) -> str:
    """Tell what is done in a step."""
    return name.partition("#")[0]


def _kinds(points: Sequence[Point]) -> set[str]:
    return {kind_of(name) for name, _ in points}


def _wait_for_the_last_step(trace: Path) -> None:
    """Wait until nothing more is done: after the answer a log may be brought into its file."""
    size = -1
    while size != (size := trace.stat().st_size):
        time.sleep(0.1)
