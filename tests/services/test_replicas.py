"""Several servers of one registry, and clients that know them all."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.parts.postgres import Postgres, new_database
from tests.services.load import Person, at_work
from tests.services.processes import ServerProcess, serving

import modelkeep


class Replicas:
    """Two servers on one database and one folder of blobs."""

    def __init__(self, home: Path, database: str, parts: ExitStack) -> None:
        self._home, self._database, self._parts = home, database, parts
        self._servers = [self._start(number, "127.0.0.1:0") for number in range(2)]
        self.url = ",".join(server.address for server in self._servers)

    def calls(self) -> list[int]:
        """Tell how many calls each has answered."""
        return [len(server.said("call")) for server in self._servers]

    def end(self, number: int, how: int) -> None:
        """End one."""
        self._servers[number].signal(how)
        self._servers[number].exit_code()

    def start(self, number: int) -> None:
        """Start one again, where it was."""
        self._servers[number] = self._start(number, self._servers[number].address)

    def _start(self, number: int, address: str) -> ServerProcess:
        return self._parts.enter_context(
            serving(
                self._home / "data",
                "--listen",
                address,
                log=self._home / f"{number}.log",
                database=self._database,
            )
        )


@pytest.fixture
def replicas(tmp_path: Path, postgres_server: Postgres) -> Iterator[Replicas]:
    with ExitStack() as parts:
        yield Replicas(tmp_path, new_database(postgres_server.url()), parts)


def _go_on(people: list[Person], acts: int) -> None:
    """Wait until so many more acts were done, or one has failed."""
    enough = sum(person.acts for person in people) + acts
    end = time.monotonic() + 60
    while sum(person.acts for person in people) < enough:
        assert [failure for person in people for failure in person.failures] == []
        assert time.monotonic() < end
        time.sleep(0.05)


def test_calls_are_spread_over_servers(replicas: Replicas, tmp_path: Path) -> None:
    with modelkeep.Client(replicas.url, cache=tmp_path / "cache") as registry:
        end = time.monotonic() + 15
        while not all(replicas.calls()):
            registry.server_info()
            assert time.monotonic() < end


def test_what_reaches_a_server_in_its_last_moment_is_answered(
    replicas: Replicas, tmp_path: Path
) -> None:
    end = threading.Event()

    def ask() -> None:
        with modelkeep.Client(replicas.url, cache=tmp_path / "cache") as registry:
            while not end.is_set():
                registry.server_info()

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        try:
            for number in (0, 1):
                time.sleep(1)
                replicas.end(number, signal.SIGTERM)
                replicas.start(number)
                time.sleep(3)
        finally:
            end.set()
        for one in asking:
            one.result()


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGTERM, id="SIGTERM"), pytest.param(signal.SIGKILL, id="SIGKILL")]
)
def test_servers_restarted_one_after_the_other_fail_no_call(
    replicas: Replicas, tmp_path: Path, how: int
) -> None:
    with at_work(replicas.url, tmp_path / "people") as people:
        for number in (0, 1):
            _go_on(people, 30)
            replicas.end(number, how)
            _go_on(people, 30)
            replicas.start(number)
            # Clients try a server anew that was gone: a second later, then less and less often.
            time.sleep(3)
        _go_on(people, 30)

    assert [failure for person in people for failure in person.failures] == []
    with modelkeep.Client(replicas.url, cache=tmp_path / "cache") as registry:
        for person in people:
            person.check(registry)
