"""One server of several processes, on a real Postgres."""

import os
import signal
import socket
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.parts.ports import free_port
from tests.parts.postgres import Postgres, new_database
from tests.services.load import Person, at_work
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.test_edge_start import refused
from tests.services.wire import Registry, status

import modelkeep
from modelkeep.v1 import namespace_service_pb2
from modelkeep.v1.admin_service_pb2 import GetServerInfoRequest
from modelkeep_server.records.postgres_commits import LOCK

SECONDS = 60
NO_METRICS = "--metrics-listen=off"


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return new_database(postgres_server.url())


@pytest.fixture
def server(tmp_path: Path, url: str) -> Iterator[ServerProcess]:
    """A server of two workers."""
    with serving(
        tmp_path / "data", "--workers", "2", "--metrics-listen", "127.0.0.1:0", database=url
    ) as server:
        yield server


def _until(done: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def _figures(server: ServerProcess, name: str, **labels: str) -> dict[str, float]:
    """Give a metric's values by worker."""
    with urllib.request.urlopen(f"http://{server.metrics}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    found: dict[str, float] = defaultdict(float)
    for sample in (sample for family in families for sample in family.samples):
        if sample.name == name and labels.items() <= sample.labels.items():
            found[sample.labels.get("worker", "")] += sample.value
    return dict(found)


def _serve(server: ServerProcess) -> float:
    return _figures(server, "modelkeep_workers")[""]


def _replace(server: ServerProcess, worker: int, number: int, people: list[Person]) -> None:
    """End a worker amid the work, and wait for the one that comes in its place."""
    done = sum(person.acts for person in people)
    _until(lambda: sum(person.acts for person in people) > done + 20)
    os.kill(worker, number)
    _until(lambda: worker not in server.workers())
    _until(lambda: len(server.workers()) == 2 and _serve(server) == 2)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _channels(server: ServerProcess, count: int, parts: ExitStack) -> list[Registry]:
    """Open connections, each one's own."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(server.address, options=own) for _ in range(count)]
    return [Registry(parts.enter_context(channel), "default") for channel in channels]


def _begin_write(registry: Registry) -> Any:
    request = namespace_service_pb2.CreateNamespaceRequest(namespace_id="held")
    return registry.namespaces.CreateNamespace.future(request)


def test_connections_are_spread_over_workers_and_figures_add_up(server: ServerProcess) -> None:
    with ExitStack() as parts:
        for registry in _channels(server, 24, parts):
            registry.make_namespace()

        calls = _figures(server, "modelkeep_calls_total", code="OK")
        timed = _figures(server, "modelkeep_call_seconds_count")
        by_log = Counter(str(line["worker"]) for line in server.said("call"))

    assert set(calls) == {"1", "2"}
    assert sum(calls.values()) == 24
    assert calls == timed
    _until(lambda: Counter(str(line["worker"]) for line in server.said("call")) == calls)
    assert by_log.keys() <= calls.keys()
    assert _serve(server) == 2
    assert all(_figures(server, "process_resident_memory_bytes")[worker] > 1e7 for worker in "12")


def test_a_killed_worker_loses_nothing_and_comes_back(
    server: ServerProcess, tmp_path: Path
) -> None:
    first = server.workers()

    with at_work(server.address, tmp_path / "people") as people:
        for victim in first:
            _replace(server, victim, signal.SIGKILL, people)

    assert [failure for person in people for failure in person.failures] == []
    assert _figures(server, "modelkeep_worker_restarts_total")[""] == 2
    with modelkeep.Client(server.address, cache=tmp_path / "cache") as registry:
        for person in people:
            person.check(registry)


def test_a_worker_told_to_stop_is_replaced_and_no_call_fails(
    server: ServerProcess, tmp_path: Path
) -> None:
    with at_work(server.address, tmp_path / "people") as people:
        for worker in server.workers():
            _replace(server, worker, signal.SIGTERM, people)

    assert [failure for person in people for failure in person.failures] == []


def test_one_that_ends_again_and_again_is_started_ever_later(server: ServerProcess) -> None:
    [first, other] = server.workers()
    os.kill(first, signal.SIGKILL)
    for _ in range(2):
        _until(lambda: len(server.workers()) == 1)
        _until(lambda: len(server.workers()) == 2)
        [newest] = set(server.workers()) - {other}
        os.kill(newest, signal.SIGKILL)
    _until(lambda: len(server.said("worker ended")) == 3)

    ends = server.said("worker ended")
    assert len({end["worker"] for end in ends}) == 1
    pauses = [end["restart_seconds"] for end in ends]
    assert pauses == sorted(pauses)
    assert 2 * pauses[1] <= pauses[2] + 0.1
    assert all(end["how"] == "SIGKILL" for end in ends)


def test_a_stop_under_load_ends_in_time_and_keeps_what_was_acknowledged(
    server: ServerProcess, tmp_path: Path, url: str
) -> None:
    with ExitStack() as parts:
        with at_work(server.address, tmp_path / "people") as people:
            _until(lambda: sum(person.acts for person in people) > 40)
            workers = server.workers()
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
            assert time.monotonic() - begun < 40
            assert not any(_is_running(pid) for pid in workers)
            parts.enter_context(
                serving(server.data, "--listen", server.address, "--workers", "2", database=url)
            )

        failures = [failure for person in people for failure in person.failures]
        assert all(isinstance(one, modelkeep.UnavailableError) for one in failures), failures
        with modelkeep.Client(server.address, cache=tmp_path / "cache") as registry:
            for person in people:
                person.check(registry)


@pytest.fixture
def held(url: str, server: ServerProcess) -> Iterator[psycopg.Connection]:
    """A lock that holds all writes up, until it is rolled back."""
    with psycopg.connect(url) as connection:
        connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})".encode())
        yield connection


def test_what_is_under_way_ends_whoever_is_told_to_stop(
    server: ServerProcess, held: psycopg.Connection, tmp_path: Path
) -> None:
    with registry_of(server) as registry:
        writing = _begin_write(registry)
        _until(lambda: sum(_figures(server, "modelkeep_calls_running").values()) == 1)

        # As systemd does it: everyone is told, and the workers by their supervisor too.
        for pid in (*server.workers(), server.pid):
            os.kill(pid, signal.SIGTERM)
        _until(lambda: len(server.said("stopping")) == 3)
        time.sleep(0.5)
        held.rollback()

        assert writing.result(timeout=SECONDS).name == "namespaces/held"
    assert server.exit_code() == 0


def test_a_call_goes_elsewhere_while_a_server_ends_what_is_under_way(
    server: ServerProcess, held: psycopg.Connection
) -> None:
    [worker, _] = server.workers()
    with ExitStack() as parts:
        registries = _channels(server, 24, parts)
        writing = [_begin_write(registry) for registry in registries]
        _until(lambda: sum(_figures(server, "modelkeep_calls_running").values()) == 24)

        os.kill(worker, signal.SIGTERM)
        _until(lambda: len(server.said("stopping")) == 1)
        time.sleep(0.5)
        reading = [registry.admin.GetServerInfo(GetServerInfoRequest()) for registry in registries]

        assert len(reading) == 24
        assert worker in server.workers()
        held.rollback()
        ended = [status(call.exception()).code for call in writing if call.exception()]
    assert set(ended) <= {"ALREADY_EXISTS"}
    assert len(ended) == 23


def test_a_second_signal_ends_all_at_once(server: ServerProcess, held: psycopg.Connection) -> None:
    workers = server.workers()
    with registry_of(server) as registry:
        writing = _begin_write(registry)
        _until(lambda: sum(_figures(server, "modelkeep_calls_running").values()) == 1)
        server.signal(signal.SIGINT)
        _until(lambda: len(server.said("stopping")) == 3)
        begun = time.monotonic()

        server.signal(signal.SIGINT)

        assert server.exit_code() == 128 + signal.SIGINT
        assert time.monotonic() - begun < 10
        assert status(writing.exception()).code == "UNAVAILABLE"
    _until(lambda: not any(_is_running(pid) for pid in workers))


def test_workers_do_not_outlive_their_supervisor(server: ServerProcess, url: str) -> None:
    workers = server.workers()

    server.kill()

    _until(lambda: not any(_is_running(pid) for pid in workers))
    with serving(server.data, "--listen", server.address, "--workers", "2", database=url) as next_:
        assert next_.address == server.address


@pytest.mark.parametrize("workers", [1, 2])
def test_the_port_of_workers_is_taken(server: ServerProcess, url: str, workers: int) -> None:
    code, said = refused(
        server.data.parent,
        f"--listen={server.address}",
        f"--workers={workers}",
        f"--database={url}",
        NO_METRICS,
    )

    assert code == 1
    assert said == (
        f"modelkeep serve: can't listen on {server.address}: Address already in use; choose "
        "another address with --listen\n"
    )


def test_workers_take_nobodys_port(tmp_path: Path, url: str) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as most gRPC servers do
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"

        code, said = refused(
            tmp_path, f"--listen={address}", "--workers=2", f"--database={url}", NO_METRICS
        )

    assert code == 1
    assert said.startswith(f"modelkeep serve: can't listen on {address}: Address already in use")


def test_where_a_worker_cannot_start_none_does(tmp_path: Path) -> None:
    nobody = f"postgresql://ada:secret@127.0.0.1:{free_port()}/models"

    code, said = refused(
        tmp_path, "--workers=2", f"--database={nobody}", "--listen=127.0.0.1:0", NO_METRICS
    )

    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith("modelkeep serve: ")
    assert "secret" not in said


def test_several_workers_need_a_database_that_they_share(tmp_path: Path) -> None:
    code, said = refused(tmp_path, "--workers=2")

    assert code == 2
    assert said == (
        "modelkeep serve: the setting workers is 2; more than 1 share a database, and SQLite is "
        "for one process: name one of Postgres with --database\n"
    )
