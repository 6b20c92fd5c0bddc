"""Streams at the edge, told on a toy service over a real channel."""

import time
from collections.abc import Iterator
from statistics import quantiles
from threading import Event

import grpc
import pytest
from tests.running import RunningServer, run_edge
from tests.services.toy import ToyClient, ToyService, descriptor, info_of
from tests.waiting import until

from modelkeep_server.edge.streams import GoneError
from modelkeep_server.values.capacity import Capacity


@pytest.fixture
def service() -> ToyService:
    return ToyService()


@pytest.fixture
def running(service: ToyService) -> Iterator[RunningServer]:
    capacity = Capacity(uploads=4, downloads=4, watches=8, idle_seconds=1)
    with run_edge((descriptor(), service), capacity=capacity) as running:
        yield running


@pytest.fixture
def toy(running: RunningServer) -> Iterator[ToyClient]:
    with grpc.insecure_channel(running.address) as channel:
        yield ToyClient(channel)


def _silent(*first: str) -> Iterator[str]:
    """Send these, then nothing, for longer than any test waits."""
    yield from first
    Event().wait(60)


def test_an_upload_is_answered_as_it_goes(service: ToyService, toy: ToyClient) -> None:
    answers = list(toy.upload(iter(["a", "b", "c"])))

    assert answers == [b"\x0a\x01a", b"\x0a\x01b", b"\x0a\x01c"]
    assert service.closed_in[0].startswith("upload")
    assert service.problems == []


def test_a_download_comes_whole(
    running: RunningServer, service: ToyService, toy: ToyClient
) -> None:
    sizes = [len(answer) for answer in toy.stream("Download", "50")]

    assert len(sizes) == 50
    assert service.closed_in[0].startswith("download")
    sent = running.figure("modelkeep_sent_bytes_total", method="toy.ToyService/Download")
    assert sent == sum(sizes)


def test_a_malformed_message_ends_an_upload(service: ToyService, toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(toy.upload(iter(["a", "b\x00", "c"])))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info_of(refused.value).reason == "FIELD_INVALID"
    assert service.received == 1
    assert service.closed_in[0].startswith("upload")


def test_a_fault_in_a_stream_keeps_its_text_here(
    running: RunningServer, service: ToyService, toy: ToyClient
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(toy.upload(iter(["break"])))

    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(refused.value)
    assert "RuntimeError: a secret" in running.log()[0]["exception"]


def test_an_idle_upload_is_ended_and_lets_go(service: ToyService, toy: ToyClient) -> None:
    started = time.monotonic()

    with pytest.raises(grpc.RpcError) as refused:
        list(toy.upload(_silent("a")))

    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert info_of(refused.value).reason == "IDLE_TIMEOUT"
    assert 0.9 < time.monotonic() - started < 10
    assert service.closed_in[0].startswith("upload")


def test_an_upload_is_not_idle_while_the_service_works(toy: ToyClient) -> None:
    assert list(toy.upload(iter(["work", "b"]))) == [b"\x0a\x04work", b"\x0a\x01b"]


def test_an_upload_that_is_cancelled_is_closed_in_its_thread(
    running: RunningServer, service: ToyService, toy: ToyClient
) -> None:
    upload = toy.upload(_silent("a"))
    next(upload)
    upload.cancel()

    until(lambda: service.closed_in)
    assert service.closed_in[0].startswith("upload")
    assert isinstance(service.problems[0], GoneError)
    until(running.log)
    assert [line["code"] for line in running.log()] == ["CANCELLED"]
    assert running.figure("modelkeep_internal_errors_total") == 0


def test_a_connection_that_breaks_closes_its_uploads(
    running: RunningServer, service: ToyService
) -> None:
    channel = grpc.insecure_channel(running.address)
    uploads = [ToyClient(channel).upload(_silent("a")) for _ in range(2)]
    for upload in uploads:
        next(upload)
    channel.close()

    until(lambda: len(service.closed_in) == 2)


def test_a_download_that_nobody_reads_holds_little_and_ends(
    running: RunningServer, service: ToyService, toy: ToyClient
) -> None:
    started = time.monotonic()
    download = toy.stream("Download", "1000")

    until(lambda: service.closed_in)
    assert 0.9 < time.monotonic() - started < 3
    assert service.sent < 20
    until(running.log)
    assert running.log()[0]["reason"] == "IDLE_TIMEOUT"
    download.cancel()


def test_a_watch_that_nobody_reads_holds_little_and_ends(
    running: RunningServer, service: ToyService, toy: ToyClient
) -> None:
    watch = toy.stream("Watch", "1000")

    until(lambda: service.closed_in)
    assert service.sent < 20
    until(running.log)
    assert running.log()[0]["reason"] == "IDLE_TIMEOUT"
    watch.cancel()


def test_a_watch_is_not_idle_and_has_no_thread(service: ToyService, toy: ToyClient) -> None:
    watch = toy.stream("Watch", "1")
    next(watch)
    time.sleep(1.5)

    assert service.closed_in == []
    watch.cancel()
    until(lambda: service.closed_in == ["server"])


@pytest.mark.alone
def test_many_idle_uploads_leave_others_alone() -> None:
    with run_edge((descriptor(), ToyService()), capacity=Capacity(uploads=32)) as running:
        channels = [grpc.insecure_channel(running.address, [("c", n)]) for n in range(4)]
        uploads = [ToyClient(channels[n % 4]).upload(_silent("a")) for n in range(200)]
        until(lambda: running.figure("modelkeep_refused_calls_total", kind="upload") == 184)
        toy = ToyClient(channels[0])
        seconds = []
        for _ in range(300):
            started = time.monotonic()
            toy.unary("Echo")
            seconds.append(time.monotonic() - started)

        assert quantiles(seconds, n=100)[98] < 0.05
        refused = [upload.code() for upload in uploads if upload.done()]
        assert refused == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 184
        for channel in channels:
            channel.close()


def test_many_watches_are_cheap_and_one_too_many_is_refused(toy: ToyClient) -> None:
    watches = [toy.stream("Watch", "1") for _ in range(8)]
    for watch in watches:
        next(watch)

    with pytest.raises(grpc.RpcError) as refused:
        next(toy.stream("Watch", "1"))

    assert info_of(refused.value).reason == "TOO_MANY_CALLS"


def test_a_stop_ends_streams_lets_calls_end_and_refuses_new_ones(
    running: RunningServer, service: ToyService, toy: ToyClient
) -> None:
    upload = toy.upload(_silent("a"))
    watch = toy.stream("Watch", "1")
    next(upload)
    next(watch)
    sleep = toy.call("Sleep").future(b"\x0a\x030.5")
    time.sleep(0.1)

    running.stop.ask("test")
    time.sleep(0.1)
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Echo")
    for stream in (upload, watch):
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(ended.value).reason == "SERVER_STOPPING"

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert sleep.result(timeout=2) == b""
    assert sorted(name.split("_")[0] for name in service.closed_in) == ["server", "upload"]
    running.thread.join(timeout=5)
    assert not running.thread.is_alive()


def test_one_caller_leaves_room_for_others(running: RunningServer, toy: ToyClient) -> None:
    mine = [toy.upload(_silent("a")) for _ in range(2)]
    for upload in mine:
        next(upload)

    with pytest.raises(grpc.RpcError) as refused:
        next(toy.upload(_silent("a")))
    other = toy.upload(_silent("b"), metadata=[("modelkeep-user", "other")])

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "of one caller" in str(refused.value.details())
    next(other)
    for upload in [*mine, other]:
        upload.cancel()
