"""Answers that are lost on their way: the write was made, and asking again makes no second one."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from tests.client.proxy import Proxy
from tests.faults.state import state
from tests.rounds import Tally, rounds
from tests.running import RunningServer
from tests.services.wire import Registry, status
from tests.services.writes import (
    LONG_WORK,
    WRITES,
    Write,
    fill,
    rpcs_with_request_ids,
    writes,
)

import modelkeep
from modelkeep.v1 import event_pb2, event_service_pb2
from modelkeep.v1.admin_service_pb2 import CollectGarbageRequest


@pytest.fixture
def near(channel: grpc.Channel) -> Registry:
    """A namespace, by a way on which nothing is lost."""
    registry = Registry(channel)
    fill(registry)
    return registry


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[Proxy]:
    with Proxy(server.address) as proxy:
        yield proxy


def _events(r: Registry, request_id: str) -> list[event_pb2.Event]:
    """Find the events of a request, wherever they are."""
    latest = r.events.ListEvents(event_service_pb2.ListEventsRequest(page_size=1000)).events
    return [event for event in latest if event.record.request_id == request_id]


def _lose_the_answer(near: Registry, far: Registry, proxy: Proxy, write: Write) -> None:
    """Ask by the proxy, and cut it once the write was made, before its answer is through."""
    grpc.channel_ready_future(far.channel).result(timeout=30)
    proxy.withhold_answers()
    call = write.on(far).future(write.request, metadata=far.metadata)
    _wait_for(lambda: bool(_events(near, write.request.request_id)))
    proxy.cut()
    with pytest.raises(grpc.RpcError) as lost:
        call.result(timeout=30)
    assert status(lost.value).code == "UNAVAILABLE"


def _wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end, "the server never made the write"
        time.sleep(0.002)


@pytest.mark.rounds("lost-answers")
@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_answer_was_lost_is_made_once(
    near: Registry, proxy: Proxy, tally: Tally, what: str
) -> None:
    write = writes(near)[what]
    with grpc.insecure_channel(proxy.address) as channel:
        far = Registry(channel, near.name.removeprefix("namespaces/"))
        _lose_the_answer(near, far, proxy, write)
        tally.tried += 1
        made = state(near)

        for _ in range(rounds(2, 20)):
            answer = write.on(far)(write.request, metadata=far.metadata, wait_for_ready=True)

    tally.wrong += state(near) != made or len(_events(near, write.request.request_id)) != 1
    assert state(near) == made
    (event,) = _events(near, write.request.request_id)
    assert getattr(answer, "name", "") in {change.resource for change in event.record.changes}


def test_every_write_of_the_contract_loses_its_answer_here(near: Registry) -> None:
    there = {write.rpc for write in writes(near).values()}

    assert there | LONG_WORK == rpcs_with_request_ids()


@pytest.mark.rounds("lost-answers")
def test_a_collection_whose_answer_was_lost_is_begun_once(
    near: Registry, proxy: Proxy, tally: Tally
) -> None:
    request = CollectGarbageRequest(request_id=str(uuid.uuid4()))
    with grpc.insecure_channel(proxy.address) as channel:
        far = Registry(channel, "default")
        grpc.channel_ready_future(channel).result(timeout=30)
        proxy.withhold_answers()
        call = far.admin.CollectGarbage.future(request)
        _wait_for(lambda: bool(_events(near, request.request_id)))
        proxy.cut()
        with pytest.raises(grpc.RpcError):
            call.result(timeout=30)

        again = far.admin.CollectGarbage(request, wait_for_ready=True)

    tally.tried += 1
    (event,) = _events(near, request.request_id)
    assert [change.resource for change in event.record.changes] == [again.name]


@pytest.mark.rounds("lost-answers")
def test_the_sdk_asks_again_by_itself(
    near: Registry, proxy: Proxy, tmp_path: Path, tally: Tally
) -> None:
    ref = near.name.removeprefix("namespaces/") + "/live:1"
    with (
        modelkeep.Client(proxy.address, cache=tmp_path / "cache", user="ada") as client,
        ThreadPoolExecutor(1) as background,
    ):
        for number in range(3, 3 + rounds(3, 30)):
            client.version(ref)  # so that there is a connection
            proxy.withhold_answers()
            made = background.submit(client.restore, ref)
            _wait_for(lambda last=number: near.numbers("live")[0] == last)  # type: ignore[misc]
            proxy.cut()
            tally.tried += 1

            assert made.result(60).number == number
            assert near.numbers("live") == list(range(number, 0, -1))
