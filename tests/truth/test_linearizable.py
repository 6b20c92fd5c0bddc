"""An alias moves one step at a time, a version gets the next number, and reads say so.

Whatever several clients see of it, while the server is killed and answers are lost, could have been
seen of a server that does one thing after another (Herlihy and Wing's linearizability).
"""

import random
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.parts.postgres import Postgres, new_database
from tests.places import memory
from tests.rounds import LONG, Tally, check_kept, rounds, seed
from tests.services.processes import ServerProcess
from tests.truth.checker import Checker, Operation
from tests.truth.clients import TARGETS, Client, History
from tests.verified import check_sound

CLIENTS = 6
CALLS = 24  # of each client


@pytest.fixture(scope="session")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    """The checker, built once."""
    return Checker(tmp_path_factory.mktemp("checker"))


class Stage:
    """Server processes that can be killed, and clients that find the one after it."""

    def __init__(self, data: Path, database: str | None, replicas: int) -> None:
        self._data = data
        self._database = database
        self.servers = [self._serve(number) for number in range(replicas)]
        self.clients = [
            Client(number, self.servers[number % replicas].address) for number in range(CLIENTS)
        ]
        for client in self.clients:
            client.proxy.__enter__()
        self.content = self.clients[0].registry.seal({"f": uuid.uuid4().bytes})

    def kill(self, number: int) -> None:
        """Kill a server, and start it again."""
        self.servers[number].kill()
        self.servers[number] = self._serve(number)
        for client in self.clients[number :: len(self.servers)]:
            client.proxy.lead_to(self.servers[number].address)

    def _serve(self, number: int) -> ServerProcess:
        log = self._data.with_name(f"{number}.log")
        return ServerProcess(self._data, log=log, database=self._database)

    def play(self, asset: str, rng: random.Random, *, is_killed: bool) -> History:
        """Let all clients act at once, and disturb them."""
        history = History(asset)
        for _ in range(TARGETS):
            self.clients[0].create(history, self.content)
        seeds = [rng.random() for _ in self.clients]
        with ThreadPoolExecutor(CLIENTS) as pool:
            playing = [
                pool.submit(self._act, client, history, random.Random(seed))
                for client, seed in zip(self.clients, seeds, strict=True)
            ]
            if is_killed:
                history.wait_for(rng.randint(20, CLIENTS * CALLS - 20))
                self.kill(rng.randrange(len(self.servers)))
            for future in playing:
                future.result()
        self.clients[0].read_alias(history, by_version=False)
        self.clients[0].count(history)
        return history

    def _act(self, client: Client, history: History, rng: random.Random) -> None:
        lost = rng.randrange(CALLS)
        for number in range(CALLS):
            if number == lost:
                client.proxy.cut_after_sent(rng.randint(1, 400))
            client.act(history, rng, self.content)


@contextmanager
def stage(data: Path, database: str | None = None, replicas: int = 1) -> Iterator[Stage]:
    """Give a stage, and clear it away."""
    made = Stage(data, database, replicas)
    try:
        yield made
    finally:
        for client in made.clients:
            client.close()
        for server in made.servers:
            server.kill()


@pytest.mark.rounds("linearizable")
@pytest.mark.timeout(3600 if LONG else 300)
def test_what_clients_see_at_once_has_an_order(checker: Checker, tally: Tally) -> None:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        with stage(Path(folder) / "data") as played:
            _play(played, checker, tally, rounds(30, 300))
        check_sound(Path(folder) / "data")


@pytest.mark.rounds("linearizable-replicas")
@pytest.mark.timeout(3600 if LONG else 300)
def test_what_clients_of_two_servers_see_at_once_has_an_order(
    checker: Checker, tally: Tally, postgres_server: Postgres
) -> None:
    database = new_database(postgres_server.url())
    with (
        tempfile.TemporaryDirectory(dir=memory()) as folder,
        stage(Path(folder) / "data", database, replicas=2) as played,
    ):
        _play(played, checker, tally, rounds(15, 100))


def _play(played: Stage, checker: Checker, tally: Tally, histories: int) -> None:
    rng = random.Random(seed())
    for number in range(histories):
        history = played.play(f"h{number}", rng, is_killed=number % 3 == 0)
        verdict = checker.verdict(history.known)
        tally.tried += 1
        with tally.counting_faults():
            check_kept(not history.lost(), f"{history.lost()} of {history.known}")
            assert verdict == {"alias": "ok", "counter": "ok"}, history.known


def test_the_checker_takes_a_history_that_has_an_order(checker: Checker) -> None:
    history = [
        _create(1, 0, 10),
        _create(2, 5, 15),
        # Lost, and made after all: the next one says so.
        Operation(2, "counter", "create", 20),
        Operation(0, "counter", "read", 30, outcome="ok", got_number=3, ended=35),
        _set(1, "-", "r1", 40, 50),
        # Both saw r1; the one that lost was later.
        _set(2, "r1", "r2", 60, 90),
        Operation(1, "alias", "set", 65, 1, "r1", "mismatch", ended=85),
        # Read while it was moved: the old one is right, too.
        Operation(0, "alias", "read", 61, outcome="ok", got_number=1, got_etag="r1", ended=64),
        # Lost, and not made, or not yet.
        Operation(2, "alias", "set", 95, 3, "r2"),
        Operation(0, "alias", "read", 100, outcome="ok", got_number=2, got_etag="r2", ended=110),
    ]

    assert checker.verdict(history) == {"alias": "ok", "counter": "ok"}


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(lambda: [_create(1, 0, 10), _create(3, 20, 30)], id="a gap"),
        pytest.param(lambda: [_create(1, 0, 10), _create(1, 5, 15)], id="a number twice"),
        pytest.param(lambda: [_create(2, 0, 10), _create(1, 20, 30)], id="against time"),
        pytest.param(
            lambda: [_set(1, "-", "r1", 0, 10), _set(2, "-", "r2", 5, 15)], id="two who won"
        ),
        pytest.param(
            lambda: [
                _set(1, "-", "r1", 0, 10),
                _set(2, "r1", "r2", 20, 30),
                Operation(1, "alias", "read", 40, outcome="ok", got_number=1, ended=50),
            ],
            id="a stale read",
        ),
        pytest.param(
            lambda: [
                _set(1, "-", "r1", 0, 10),
                Operation(1, "alias", "set", 20, 2, "r1"),
                Operation(0, "alias", "read", 30, outcome="ok", got_number=2, ended=40),
                _set(3, "r1", "r3", 50, 60),
            ],
            id="an etag that was used up",
        ),
    ],
)
def test_the_checker_refuses_a_history_that_has_none(checker: Checker, history: object) -> None:
    assert callable(history)
    assert "illegal" in checker.verdict(history()).values()


def _create(number: int, call: int, ended: int) -> Operation:
    return Operation(0, "counter", "create", call, outcome="ok", got_number=number, ended=ended)


def _set(number: int, etag: str, got: str, call: int, ended: int) -> Operation:
    return Operation(0, "alias", "set", call, number, etag, "ok", number, got, ended)
