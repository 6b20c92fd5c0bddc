"""The same files through modelkeep and through MLflow, each by its own SDK and used as it comes.

Where both keep what they have alike: SQLite and this disk, or one Postgres and one S3 store. Over
the store bytes pass both servers, or neither: modelkeep's by links, MLflow's with the store's keys,
which its clients then have. modelkeep hashes and checks every byte; MLflow doesn't.
"""

import os
import shutil
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import pytest

from bench import beside_calls, mlflow_server
from bench.bounds import MIB, seconds
from bench.places import STRAIGHT, Disk, Network, Place
from bench.rows import Row
from bench.scene import Scene
from bench.transfers import SMALL
from modelkeep import Client

Aims = tuple[float, float, float, float]
"""Of one file up, and down; of many small ones up, and down."""

AIMS: Aims = (2, 1.5, 10, 10)
DIRECT_AIMS: Aims = (1, 1, 1, 1)


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    disk, network = Disk(scene), Network(scene)
    proxy, straight = f"MLflow {mlflow_server.version()}'s proxy", "MLflow's client, with S3 keys"
    relayed = _Modelkeep(scene, network, links="off"), _MLflow(scene, network)
    direct = _Modelkeep(scene, network), _MLflow(scene, network, STRAIGHT)
    return [
        *_transfers(scene, "mlflow", proxy, AIMS, _Modelkeep(scene, disk), _MLflow(scene, disk)),
        *_transfers(scene, "mlflow s3", proxy, AIMS, *relayed),
        *_transfers(scene, "mlflow direct", straight, DIRECT_AIMS, *direct),
        *beside_calls.rows(scene, network),
    ]


class Side(Protocol):
    """One of the two. Each method answers the seconds that it took."""

    def up(self, name: str, source: Path) -> float:
        """Store a folder under a name."""

    def down(self, name: str, target: Path) -> float:
        """Get what was last stored under a name."""


def _transfers(scene: Scene, name: str, of: str, aims: Aims, ours: Side, theirs: Side) -> list[Row]:
    """Give the rows of two sides."""
    mib, count = scene.amount(1024, 64), scene.amount(2_000, 200)
    large = _Files(scene, f"{name} large", 1, mib * MIB)
    small = _Files(scene, f"{name} small", count, SMALL)

    def row(what: str, aim: float, move: Callable[[Side], float], rounds: int) -> Row:
        unit = what.rpartition(" ")[2] + "/s"
        figure, base = partial(move, ours), partial(move, theirs)
        return Row(f"{name} {what}", of, unit, aim, figure, base, rounds)

    return [
        row(f"upload {mib:,} MiB", aims[0], lambda side: mib / large.up(side), 3),
        row(f"download {mib:,} MiB", aims[1], lambda side: mib / large.down(side), 3),
        row(f"upload {count:,} files", aims[2], lambda side: count / small.up(side), 7),
        row(f"download {count:,} files", aims[3], lambda side: count / small.down(side), 7),
    ]


class _Modelkeep:
    def __init__(self, scene: Scene, place: Place, links: str = "auto") -> None:
        self._scene, self._place, self._links = scene, place, links

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
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("MODELKEEP_LINKS", self._links)
            return Client(self._place.modelkeep.address, cache=cache)


class _MLflow:
    def __init__(self, scene: Scene, place: Place, *location: str) -> None:
        self._scene, self._place, self._location = scene, place, location

    @cached_property
    def _client(self) -> mlflow_server.Client:
        client = self._place.mlflow.client(*self._location)
        return self._scene.parts.enter_context(client)

    def up(self, name: str, source: Path) -> float:
        return self._client.ask("up", name, source)

    def down(self, name: str, target: Path) -> float:
        return self._client.ask("down", name, target)


class _Files:
    """Files of one size. Both sides get the same, and none gets any again."""

    def __init__(self, scene: Scene, name: str, count: int, size: int) -> None:
        self._scene, self._name = scene, name.replace(" ", "-")
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
