"""Collections at two servers at once, and one that another server goes on with."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.longrunning.operations_pb2 import Operation
from tests.collecting import age, begin, finished, purge
from tests.parts.postgres import Postgres, new_database
from tests.running import RunningServer, run_server
from tests.services.processes import registry_of, serving
from tests.services.wire import Registry, download
from tests.waiting import until

from modelkeep.v1.admin_service_pb2 import (
    CollectGarbageMetadata,
    CollectGarbageResponse,
    Garbage,
)
from modelkeep.v1.operation_service_pb2 import GetOperationRequest

FILES = {f"{number:03}": f"{number}".encode() * 50 for number in range(300)}
KEPT = {name: FILES[name] for name in list(FILES)[::3]}
SLOW_SERVER = ("-m", "tests.replicas.slow_server")


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return new_database(postgres_server.url())


@pytest.fixture
def server(tmp_path: Path, url: str) -> Iterator[RunningServer]:
    """A server with bytes to be collected."""
    with run_server(tmp_path / "data", database=url) as running:
        with grpc.insecure_channel(running.address) as channel:
            r = Registry(channel, "default")
            r.create("dropped", FILES)
            r.create("kept", KEPT)
            purge(r, 1, "dropped")
        age(running)
        yield running


def test_what_two_collections_delete_counts_once(
    server: RunningServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelkeep_server.domain.collection.TAKEN", 10)
    with (
        run_server(server.data, database=url) as second,
        grpc.insecure_channel(server.address) as one,
        grpc.insecure_channel(second.address) as other,
    ):
        sides = [Registry(channel, "default") for channel in (one, other)]

        begun = [begin(side) for side in sides]

        both = [_garbage(finished(sides[0], operation)) for operation in begun]
        assert sum(garbage.condemned_blobs for garbage in both) == 201
        assert sum(garbage.deleted_blobs for garbage in both) == 201
        name = sides[1].version(1, "kept")
        assert download(sides[1], name, *KEPT) == list(KEPT.values())


def test_another_server_goes_on_where_one_was_killed(server: RunningServer, url: str) -> None:
    log = server.data.with_name("slow.log")
    with (
        grpc.insecure_channel(server.address) as channel,
        serving(server.data, "--database", url, log=log, program=SLOW_SERVER) as slow,
        registry_of(slow) as there,
    ):
        here = Registry(channel, "default")
        operation = begin(there)
        until(lambda: _metadata(here, operation).garbage.condemned_blobs > 20)
        slow.kill()

        ended = finished(here, operation)

        assert _garbage(ended).condemned_blobs == 201
        assert _garbage(ended).deleted_blobs == 201
        assert download(here, here.version(1, "kept"), *KEPT) == list(KEPT.values())


def _metadata(r: Registry, operation: Operation) -> CollectGarbageMetadata:
    answer = CollectGarbageMetadata()
    request = GetOperationRequest(name=operation.name)
    assert r.operations.GetOperation(request).metadata.Unpack(answer)
    return answer


def _garbage(operation: Operation) -> Garbage:
    answer = CollectGarbageResponse()
    assert operation.response.Unpack(answer), operation
    return answer.garbage
