"""What a server tells Prometheus beside its calls."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from tests.parts.postgres import Postgres, new_database
from tests.running import RunningServer, of_database, run_edge, run_server
from tests.services.toy import ToyClient, ToyService, descriptor
from tests.services.wire import Registry, refused
from tests.waiting import until

from modelkeep_server.values.capacity import Capacity


def position(server: RunningServer) -> float:
    return server.figure("modelkeep_log_position")


def test_the_logs_position_is_that_of_the_last_event(tmp_path: Path, database: str | None) -> None:
    settings = of_database(database)
    with (
        run_server(tmp_path / "data", **settings) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel)
        registry.create()
        last = int(registry.log()[-1].name.removeprefix("events/"))
        until(lambda: position(server) == last)

    with run_server(tmp_path / "data", **settings) as again:
        assert position(again) == last


def test_a_server_knows_of_events_that_another_wrote(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    settings = of_database(new_database(postgres_server.url()))
    with (
        run_server(tmp_path / "one", **settings) as one,
        run_server(tmp_path / "another", **settings) as another,
        grpc.insecure_channel(another.address) as channel,
    ):
        before = position(one)
        Registry(channel).create()

        until(lambda: position(one) == position(another) > before)


def test_errors_are_counted_by_code_and_reason(server: RunningServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel)
        for _ in range(2):
            with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
                registry.get(1)

    labels = {"code": "NOT_FOUND", "reason": "RESOURCE_NOT_FOUND"}
    assert server.figure("modelkeep_errors_total", **labels) == 2


def test_slots_tell_how_full_each_limit_is() -> None:
    capacity = Capacity(unary_calls=5, downloads=3)
    with (
        run_edge((descriptor(), ToyService()), capacity=capacity) as running,
        grpc.insecure_channel(running.address) as channel,
        ThreadPoolExecutor(2) as threads,
    ):
        calls = [threads.submit(ToyClient(channel).unary, "Sleep", "1") for _ in range(2)]

        assert running.figure("modelkeep_slots", kind="unary") == 5
        assert running.figure("modelkeep_slots", kind="download") == 3
        until(lambda: running.figure("modelkeep_slots_taken", kind="unary") == 2)
        assert running.figure("modelkeep_slots_taken", kind="download") == 0
        assert [call.result() for call in calls] == ["", ""]
        until(lambda: running.figure("modelkeep_slots_taken", kind="unary") == 0)
