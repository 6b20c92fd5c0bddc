"""Postgres, the S3 store and the network fail in turn, and nothing acknowledged is lost.

Each call is answered rightly, or with an error that says to try again, before its deadline.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from random import Random

import pytest
from tests.faults.asking import SECONDS
from tests.faults.production import Production, answering, production
from tests.parts.postgres import cut
from tests.parts.s3 import ENVIRONMENT
from tests.parts.toxiproxy import Way, build, toxiproxy
from tests.rounds import Tally, seed

pytestmark = [pytest.mark.faults, pytest.mark.rounds("production-faults"), pytest.mark.timeout(900)]

PAUSE_SECONDS = 20.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with toxiproxy(build(folder)) as proxy, production(folder, proxy) as made:
            yield made


def _restart_postgres(parts: Production) -> None:
    parts.postgres.stop(signal.SIGINT)
    time.sleep(2)
    parts.postgres.start()


def _crash_postgres(parts: Production) -> None:
    parts.postgres.stop(signal.SIGQUIT)
    parts.postgres.start()


def _pause_postgres(parts: Production) -> None:
    parts.postgres.pause()
    try:
        time.sleep(PAUSE_SECONDS)
    finally:
        parts.postgres.go_on()


def _cut_connections(parts: Production) -> None:
    database = parts.servers[0].database
    assert database is not None
    for _ in range(20):
        cut(database)
        time.sleep(0.3)


def _kill_store(parts: Production) -> None:
    parts.store.kill()
    time.sleep(2)
    parts.store.start()


def _pause_store(parts: Production) -> None:
    parts.store.pause()
    try:
        time.sleep(PAUSE_SECONDS)
    finally:
        parts.store.go_on()


def _store_answers(code: int) -> Callable[[Production], None]:
    def act(parts: Production) -> None:
        with answering(parts.to_store, code):
            time.sleep(5)

    return act


def _kill_servers(parts: Production) -> None:
    """Stop one server so that it looks dead, for longer than a lease lasts, and then the other."""
    for server in parts.servers:
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(12)
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(_restart_postgres, id="postgres is restarted"),
        pytest.param(_crash_postgres, id="postgres crashes"),
        pytest.param(_pause_postgres, id="postgres is paused"),
        pytest.param(_cut_connections, id="connections to postgres are cut"),
        pytest.param(_kill_store, id="the store is killed"),
        pytest.param(_pause_store, id="the store is paused"),
        pytest.param(_store_answers(500), id="the store answers 500"),
        pytest.param(_store_answers(503), id="the store answers 503"),
        pytest.param(_kill_servers, id="servers are paused"),
    ],
)
def test_a_part_that_fails_loses_nothing(
    parts: Production,
    tally: Tally,
    act: Callable[[Production], None],
    request: pytest.FixtureRequest,
) -> None:
    with parts.kept(tally, seed(), _name(request)) as clients:
        act(parts)

    assert max(client.slowest for client in clients) < SECONDS


Disturb = Callable[[Way, Random], AbstractContextManager[None]]


def _toxic(kind: str, **attributes: int | str) -> Disturb:
    def disturb(way: Way, _: Random) -> AbstractContextManager[None]:
        return way.with_toxic(kind, **attributes)  # type: ignore[arg-type]

    return disturb


def _cut_somewhere(way: Way, random: Random) -> AbstractContextManager[None]:
    return way.with_toxic("limit_data", bytes=random.randint(1, 200_000))


def _closed(way: Way, _: Random) -> AbstractContextManager[None]:
    return way.closed()


@pytest.mark.parametrize("where", ["to_servers", "to_database", "to_store"])
@pytest.mark.parametrize(
    ("disturb", "times", "seconds"),
    [
        pytest.param(_toxic("latency", latency=100, jitter=50), 1, 6, id="slow"),
        pytest.param(_toxic("bandwidth", rate=100), 1, 6, id="narrow"),
        pytest.param(_cut_somewhere, 10, 0.5, id="cut at any byte"),
        pytest.param(_toxic("timeout", timeout=0), 1, PAUSE_SECONDS, id="a black hole"),
        pytest.param(
            _toxic("timeout", timeout=0, stream="upstream"), 1, PAUSE_SECONDS, id="half open"
        ),
        pytest.param(_closed, 3, 1, id="gone"),
    ],
)
def test_a_way_that_is_disturbed_loses_nothing(
    parts: Production,
    tally: Tally,
    where: str,
    disturb: Disturb,
    times: int,
    seconds: float,
    request: pytest.FixtureRequest,
) -> None:
    random = Random(seed())
    way = parts.to_servers[0] if where == "to_servers" else getattr(parts, where)

    with parts.kept(tally, seed(), _name(request)) as clients:
        for _ in range(times):
            with disturb(way, random):
                time.sleep(seconds)

    assert max(client.slowest for client in clients) < SECONDS + 1


def _name(request: pytest.FixtureRequest) -> str:
    """Name the assets of a test after it, in letters that a name may have."""
    return "".join(c if c.isalnum() else "-" for c in request.node.callspec.id)[:60]
