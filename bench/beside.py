"""The same files through modelkeep and through MLflow's proxy of artifacts, each by its own SDK.

Both have SQLite and this disk, and each is used as it comes. modelkeep hashes, checks and syncs
every byte; MLflow does none of that.
"""

import os
import shutil
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from bench import proxy
from bench.bounds import MIB, seconds
from bench.rows import Row
from bench.scene import Scene
from bench.transfers import SMALL
from modelkeep import Client


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    mib, count = scene.amount(1024, 64), scene.amount(2_000, 200)
    ours, theirs = _Modelkeep(scene), _MLflow(scene)
    large, small = _Files(scene, "large", 1, mib * MIB), _Files(scene, "small", count, SMALL)

    def row(what: str, aim: float, move: Callable[["Side"], float], rounds: int) -> Row:
        of, unit = f"MLflow {proxy.version()}'s proxy", what.rpartition(" ")[2] + "/s"
        return Row(
            f"mlflow {what}", of, unit, aim, partial(move, ours), partial(move, theirs), rounds
        )

    return [
        row(f"upload {mib:,} MiB", 2, lambda side: mib / large.up(side), 3),
        row(f"download {mib:,} MiB", 1.5, lambda side: mib / large.down(side), 3),
        row(f"upload {count:,} files", 10, lambda side: count / small.up(side), 7),
        row(f"download {count:,} files", 10, lambda side: count / small.down(side), 7),
    ]


class Side(Protocol):
    """One of the two. Each method answers the seconds that it took."""

    def up(self, name: str, source: Path) -> float:
        """Store a folder under a name."""

    def down(self, name: str, target: Path) -> float:
        """Get what was last stored under a name."""


class _Modelkeep:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def up(self, name: str, source: Path) -> float:
        with self._client() as client:
            return seconds(lambda: client.push(name, source, recipe=None))

    def down(self, name: str, target: Path) -> float:
        with self._client() as client:
            return seconds(lambda: client.pull(name, target))

    def _client(self) -> Client:
        """Connect with nothing in the cache."""
        cache = self._scene.disk / "beside-cache"
        shutil.rmtree(cache, ignore_errors=True)
        return Client(self._scene.kept.address, cache=cache)


class _MLflow:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @cached_property
    def _proxy(self) -> proxy.Proxy:
        return self._scene.parts.enter_context(proxy.running(self._scene.folder()))

    def up(self, name: str, source: Path) -> float:
        return self._proxy.ask("up", name, source)

    def down(self, name: str, target: Path) -> float:
        return self._proxy.ask("down", name, target)


class _Files:
    """Files of one size. Both sides get the same, and none gets any again."""

    def __init__(self, scene: Scene, name: str, count: int, size: int) -> None:
        self._scene, self._name = scene, f"beside-{name}"
        self._count, self._size = count, size
        self._had: set[Side] = set()

    def up(self, side: Side) -> float:
        if side in self._had or not self._source.exists():
            self._renew()
        os.sync()  # what was written before is none of this side's cost
        taken = side.up(self._name, self._source)
        self._had.add(side)
        return taken

    def down(self, side: Side) -> float:
        if side not in self._had:
            self.up(side)
        target = self._scene.disk / f"{self._name}-pulled"
        os.sync()
        taken = side.down(self._name, target)
        assert len(list(target.iterdir())) == self._count
        shutil.rmtree(target)
        return taken

    @property
    def _source(self) -> Path:
        return self._scene.disk / f"{self._name}-source"

    def _renew(self) -> None:
        self._source.mkdir(exist_ok=True)
        for number in range(self._count):
            with (self._source / f"{number:04}.bin").open("wb") as file:
                for start in range(0, self._size, MIB):
                    file.write(os.urandom(min(MIB, self._size - start)))
        self._had.clear()
