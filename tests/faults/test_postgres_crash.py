"""Postgres crashes again and again while two servers write: what was acknowledged is there."""

import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from tests.faults.asking import Asking
from tests.faults.registries import Settings, check_sound_at, registry_at
from tests.parts.postgres import Postgres, new_database, postgres
from tests.rounds import Tally, check_kept, rounds, seed
from tests.services.processes import serving
from tests.services.wire import Registry
from tests.waiting import until

CLIENTS = 8
CRASHES = rounds(20, 300)
SECONDS = 60


class Counting(Asking):
    """A client that makes one version after another, each with the next number."""

    def __init__(self, address: str, name: str) -> None:
        super().__init__(address, name)
        self.made = 0
        self._sealed = ""

    def _act(self, registry: Registry) -> None:
        if not self._sealed:
            self._sealed = self._insist(lambda: registry.seal({"f": self.name.encode()}))
        request_id = str(uuid.uuid4())
        version = self._insist(
            lambda: registry.create(self.name, self._sealed, request_id=request_id)
        )
        check_kept(version.number > self.made, f"{self.name}:{version.number}")
        assert version.number == self.made + 1
        self.made += 1


@contextmanager
def _counting(settings: Settings) -> Iterator[list[Counting]]:
    """Let clients count at two servers, until the end of the block."""
    data = Path(settings["data"])
    with ExitStack() as parts:
        servers = [
            parts.enter_context(
                serving(data, log=data.with_name(f"{n}.log"), database=settings["database"])
            )
            for n in range(2)
        ]
        clients = [Counting(servers[n % 2].address, f"client-{n}") for n in range(CLIENTS)]
        for client in clients:
            client.start()
            parts.callback(client.stop)
        try:
            yield clients
        finally:
            for client in clients:
                client.ask_to_stop()


def _crash(server: Postgres, random: Random) -> None:
    """End it somehow while it works, and start it again."""
    time.sleep(random.uniform(0.1, 0.6))
    if random.random() < 0.5:
        server.crash()
    else:
        server.stop(signal.SIGQUIT)
    server.start()


def _until_each_has_made_more(clients: list[Counting]) -> None:
    counts = [client.made for client in clients]
    pairs = list(zip(clients, counts, strict=True))
    until(lambda: all(c.made > count for c, count in pairs) or _any_is_over(clients), SECONDS)


def _any_is_over(clients: list[Counting]) -> bool:
    return any(client.is_over for client in clients)


@pytest.mark.faults
@pytest.mark.rounds("postgres-crash")
@pytest.mark.timeout(120 + 30 * CRASHES)
def test_a_crash_of_postgres_loses_nothing_acknowledged(tmp_path: Path, tally: Tally) -> None:
    random = Random(seed())
    with postgres(durable=True) as server:
        settings = {"data": str(tmp_path / "data"), "database": new_database(server.url())}
        with tally.counting_faults(), _counting(settings) as clients:
            _until_each_has_made_more(clients)
            while tally.tried < CRASHES and not _any_is_over(clients):
                _crash(server, random)
                _until_each_has_made_more(clients)
                tally.tried += 1
        with tally.counting_faults():
            check_sound_at(settings)
            with registry_at(settings) as registry:
                for client in clients:
                    _check(registry, client)
    tally.notes |= {"versions": sum(client.made for client in clients)}


def _check(registry: Registry, client: Counting) -> None:
    """Hold what is there to what a client was told: each of its versions, made by one event."""
    there = registry.get_asset(client.name).version_count
    check_kept(there >= client.made, f"{client.made - there} versions of {client.name}")
    assert there == client.made
    acts = registry.acts(registry.asset(client.name))
    assert acts.count("version.created") == client.made
