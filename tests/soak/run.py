"""A soak from its start to its end."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from tests.faults.asking import Asking
from tests.parts.minio import minio
from tests.parts.postgres import new_database, postgres
from tests.parts.s3 import ENVIRONMENT, S3Server
from tests.parts.seaweed import seaweed
from tests.services.wire import Registry
from tests.soak.chores import Checker, Chore, Collector, admin, every
from tests.soak.clients import Client
from tests.soak.followers import Follower, order_of_log
from tests.soak.replicas import BALANCED, Replica, Replicas, quarters, replicas

_FOLLOWERS = 10
_SETTLED_SECONDS = 20.0
_CHECK_SECONDS = 30.0
_SAMPLE_SECONDS = 2.0
# A replica's memory grows at first, until its caches are full and all of its threads are there.
_WARM_UP = 0.25
_LEAST_MINUTES = 5.0
"""Shorter runs don't tell whether something grows."""
_MORE_RSS, _MORE_FDS = 1.15, 32
_MIB = 1024 * 1024

Totals = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, by how many clients, with which choices."""

    minutes: float
    clients: int
    seed: int

    @property
    def seconds(self) -> float:
        """How long clients go on."""
        return self.minutes * 60


@dataclass
class Place:
    """Where all is."""

    folder: Path
    postgres: str
    store: S3Server
    database: str
    blobs: str

    def where(self, folder: str, database: str, blobs: str) -> tuple[str, ...]:
        """Tell a command where a registry is."""
        data = str(self.folder / folder)
        return ("--data", data, "--database", database, "--blobs", blobs)

    @property
    def registry(self) -> tuple[str, ...]:
        """Tell a command where the registry is that is soaked."""
        return self.where("replica-0", self.database, self.blobs)


def soak(plan: Plan) -> tuple[Totals, list[str]]:
    """Soak; answer the totals, and what is wrong."""
    os.environ.update(ENVIRONMENT)
    with _place() as place:
        with replicas(place.folder, place.database, place.blobs) as running:
            totals, faults = _load(plan, place, running)
            for replica in running.all:
                replica.end(kill=False)
        faults += [error for replica in running.all for error in replica.errors()]
        faults += _at_the_end(place)
    return {**_names(plan), **totals, "faults": len(faults)}, faults


def _load(plan: Plan, place: Place, running: Replicas) -> tuple[Totals, list[str]]:
    address = running.address
    acting = [Client(address, f"client-{n}", plan.seed) for n in range(plan.clients - _FOLLOWERS)]
    followers = [Follower(address, f"follower-{n}") for n in range(_FOLLOWERS)]
    collector = Collector(address, place.database, min(_SETTLED_SECONDS, plan.seconds / 6))
    checker = Checker(address, min(_CHECK_SECONDS, plan.seconds / 6))
    everybody: list[Asking] = [*followers, collector, checker, *acting]
    for one in everybody:
        one.start()
    with (
        every(max(5.0, plan.seconds / 14), running.restart_one) as restarts,
        every(max(8.0, plan.seconds / 10), lambda: _back_up(place)) as backups,
        every(_SAMPLE_SECONDS, running.sample) as samples,
    ):
        _wait(plan.seconds, everybody)
    faults = _ended([*acting, collector, checker]) + _failed(restarts, backups, samples)
    wrong = Counter(["wrong"] * len(faults))
    with grpc.insecure_channel(address, BALANCED) as channel:
        registry = Registry(channel, "default")
        for kind, text in (fault for client in acting for fault in client.faults(registry)):
            wrong[kind] += 1
            faults.append(f"{kind}: {text}")
        orders = _orders(followers, registry)
    if len(orders) != 1:
        wrong["wrong"] += 1
        faults.append(f"the log was seen in several orders: {orders}")
    _back_up(place)
    growth = [_growth(replica, plan) for replica in running.all]
    faults += [f"replica {n}: {text}" for n, (_, texts) in enumerate(growth) for text in texts]
    totals = {
        "calls": sum(one.calls for one in everybody),
        "acknowledged": sum(client.acknowledged for client in acting),
        "events": int(orders[0].split()[0]),
        "bytes": sum(client.bytes for client in acting),
        "restarts": running.restarts,
        "collections": collector.collections,
        "deleted_blobs": collector.deleted_blobs,
        "collected_meanwhile": sum(client.collected_meanwhile for client in acting),
        "checks": checker.checks,
        "backups": backups.done + 1,
        "lost": wrong["lost"],
        "wrong": wrong["wrong"],
        "slowest": round(max(one.slowest for one in everybody), 1),
        "told": dict(sum((one.told for one in everybody), Counter())),
        **{key: [figures[key] for figures, _ in growth] for key in growth[0][0]},
    }
    return totals, faults


def _wait(seconds: float, everybody: Sequence[Asking]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not any(one.is_over for one in everybody):
        time.sleep(0.2)


def _ended(everybody: Sequence[Asking]) -> list[str]:
    for one in everybody:
        one.ask_to_stop()
    faults = []
    for one in everybody:
        try:
            one.stop()
        except BaseException as problem:
            faults.append(f"wrong: {one.name}: {problem!r}")
    return faults


def _failed(*chores: Chore) -> list[str]:
    return [f"wrong: {chore.problem!r}" for chore in chores if chore.problem is not None]


def _orders(followers: Sequence[Follower], registry: Registry) -> list[str]:
    """Tell the orders in which the log was seen; the log's own is the first."""
    order = order_of_log(registry)
    position = int(order.split()[0])
    orders = [order]
    for follower in followers:
        try:
            orders.append(follower.order(position))
        except BaseException as problem:
            orders.append(f"{follower.position} {problem!r}")
    return list(dict.fromkeys(orders))


def _growth(replica: Replica, plan: Plan) -> tuple[dict[str, int], list[str]]:
    """Compare the last quarter with the first, after the warm-up; tell what grew."""
    settled = replica.samples[int(len(replica.samples) * _WARM_UP) :]
    first, last = quarters(settled)
    grew = []
    if plan.minutes >= _LEAST_MINUTES and last.rss > first.rss * _MORE_RSS:
        grew.append(f"its memory grew from {first.rss} to {last.rss}")
    if plan.minutes >= _LEAST_MINUTES and last.fds > first.fds + _MORE_FDS:
        grew.append(f"its descriptors grew from {first.fds} to {last.fds}")
    figures = {
        "rss_first_mib": first.rss // _MIB,
        "rss_last_mib": last.rss // _MIB,
        "fds_first": first.fds,
        "fds_last": last.fds,
    }
    return figures, grew


def _back_up(place: Place) -> None:
    admin("backup", place.folder / "backups", *place.registry)


def _at_the_end(place: Place) -> list[str]:
    """Check the registry and its last backup, and restore that."""
    backup = place.folder / "backups"
    restored = place.where("restored", new_database(place.postgres), place.store.url())
    faults = []
    commands: list[tuple[str | Path, ...]] = [
        ("verify", *place.registry, "--read-data"),
        ("verify", "--backup", backup, "--read-data"),
        ("restore", backup, *restored),
        ("verify", *restored, "--read-data"),
    ]
    for arguments in commands:
        try:
            admin(*arguments)
        except AssertionError as problem:
            faults.append(str(problem))
    return faults


@contextmanager
def _place() -> Iterator[Place]:
    with ExitStack() as parts:
        folder = Path(parts.enter_context(TemporaryDirectory(prefix="modelkeep-soak-")))
        server = parts.enter_context(postgres())
        store = parts.enter_context(minio() if shutil.which("minio") else seaweed())
        yield Place(folder, server.url(), store, new_database(server.url()), store.url())


def _names(plan: Plan) -> Totals:
    return {
        "minutes": plan.minutes,
        "clients": plan.clients,
        "seed": plan.seed,
        "store": "minio" if shutil.which("minio") else "seaweedfs",
    }
