"""What every call meets at the edge, told on a toy service over a real channel."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from tests.running import RunningServer, run_edge
from tests.services.toy import ToyClient, ToyService, descriptor, info_of, status_of
from tests.waiting import until

from modelkeep_server.edge.methods import resolve
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.values.capacity import Capacity
from modelkeep_server.values.start import StartError

T = TypeVar("T")


@pytest.fixture
def running() -> Iterator[RunningServer]:
    with run_edge((descriptor(), ToyService()), capacity=Capacity(unary_seconds=0.3)) as running:
        yield running


@pytest.fixture
def toy(running: RunningServer) -> Iterator[ToyClient]:
    with grpc.insecure_channel(running.address) as channel:
        yield ToyClient(channel)


def test_a_call_is_answered_logged_and_counted(running: RunningServer, toy: ToyClient) -> None:
    assert toy.unary("Echo", "hello", metadata=[("authorization", "Bearer secret")]) == "hello"

    [line] = running.log()
    assert line["method"] == "toy.ToyService/Echo"
    assert (line["code"], line["received"], line["sent"]) == ("OK", 7, 7)
    assert line["principal"].startswith("principals/")
    assert line["ms"] > 0
    assert "secret" not in str(line)
    method = "toy.ToyService/Echo"
    assert running.figure("modelkeep_calls_total", method=method, code="OK") == 1
    assert running.figure("modelkeep_calls_running", method=method) == 0
    assert running.figure("modelkeep_received_bytes_total", method=method) == 7


def test_only_coroutines_and_short_reads_run_on_the_event_loop(toy: ToyClient) -> None:
    assert toy.unary("Quick", "") == "server"
    assert toy.unary("Short", "") == "server"
    assert toy.unary("Short", "slow").startswith("unary")


def test_short_reads_run_where_they_are_asked_to() -> None:
    def elsewhere(work: Callable[[], T]) -> Future[T]:
        return threads.submit(work)

    with (
        ThreadPoolExecutor(thread_name_prefix="short") as threads,
        run_edge((descriptor(), ToyService()), read_together=elsewhere) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        toy = ToyClient(channel)
        assert toy.unary("Quick", "") == "server"
        assert toy.unary("Short", "").startswith("short")
        assert toy.unary("Short", "slow").startswith("unary")
        assert toy.unary("Short", "longer").startswith("unary")
        with pytest.raises(grpc.RpcError) as refused:
            toy.unary("Short", "break")

        assert info_of(refused.value).reason == "INTERNAL_ERROR"
        method = "toy.ToyService/Short"
        assert running.figure("modelkeep_calls_total", method=method, code="OK") == 3


def test_short_reads_have_a_cap_and_a_time() -> None:
    def never(work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        return future

    capacity = Capacity(unary_calls=2, unary_seconds=0.3)
    with (
        run_edge((descriptor(), ToyService()), capacity=capacity, read_together=never) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        told = []
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as refused:
                ToyClient(channel).unary("Short", "")
            told.append(info_of(refused.value).reason)

    # What nobody waits for any more still counts, as it still runs.
    assert told == ["CALL_TOO_LONG", "CALL_TOO_LONG", "TOO_MANY_CALLS"]


def test_a_write_says_which_event_it_made(toy: ToyClient) -> None:
    answer, call = toy.call("Write").with_call(b"")

    assert b"written" in answer
    assert ("modelkeep-event-id", "e-1") in [tuple(pair) for pair in call.trailing_metadata()]


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05abc", b"\x0a\x02\xff\xfe"])
@pytest.mark.parametrize("method", ["Echo", "Short", "Quick"])
def test_bytes_that_are_no_message_are_refused(toy: ToyClient, method: str, raw: bytes) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.call(method)(raw)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info_of(refused.value).reason == "REQUEST_MALFORMED"
    assert info_of(refused.value).domain == "modelkeep"


def test_a_control_character_is_refused(toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Echo", "a\x00b")

    bad = BadRequest()
    assert status_of(refused.value).details[1].Unpack(bad)
    assert bad.field_violations[0].field == "value"
    assert bad.field_violations[0].reason == "FIELD_INVALID"


def test_an_unknown_method_is_unimplemented(toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.call("Juggle")(b"")

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_over_the_limit_is_refused(toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Echo", "x" * (2 * 1024 * 1024 + 1))

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_over_the_limit_is_refused(toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Echo", metadata=[("x-much", "x" * 9_000)])

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_error_loses_no_status_however_much_it_says(toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Refuse", "é")

    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == "no  [31mé"
    assert status_of(refused.value).ByteSize() <= 4096
    assert info_of(refused.value).reason == "VERSION_HELD"
    assert info_of(refused.value).metadata["holders"].endswith("...")
    retry = RetryInfo()
    assert status_of(refused.value).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_a_fault_is_reported_and_its_text_stays_here(
    running: RunningServer, toy: ToyClient
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Break")

    fault_id = info_of(refused.value).metadata["id"]
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert refused.value.details() == f"internal error, id {fault_id}"
    [fault, call] = running.log()
    assert fault["id"] == fault_id
    assert "RuntimeError: a secret" in fault["exception"]
    assert (call["code"], call["reason"]) == ("INTERNAL", "INTERNAL_ERROR")
    assert running.figure("modelkeep_internal_errors_total") == 1


def test_a_call_may_not_take_longer_than_its_kind_may(toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Sleep", "1")

    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert info_of(refused.value).reason == "CALL_TOO_LONG"


def test_a_caller_that_gives_up_is_no_error(running: RunningServer, toy: ToyClient) -> None:
    with pytest.raises(grpc.RpcError) as given_up:
        toy.unary("Sleep", "0.2", timeout=0.05)

    assert given_up.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: len(running.log()) == 1)
    assert running.log()[0]["code"] == "CANCELLED"


def test_a_caller_is_who_they_say(toy: ToyClient) -> None:
    ada = toy.unary("Who", metadata=[("modelkeep-user", "ada")])
    again = toy.unary("Who", metadata=[("modelkeep-user", "ada")])
    nobody = toy.unary("Who")

    assert ada == again
    assert ada.endswith(" unverified:ada")
    assert nobody.endswith(" unverified:anonymous")
    assert "ada" not in ada.split()[0]
    assert len(ada.split()[0]) == len("principals/") + 20


@pytest.mark.parametrize("names", [["x" * 129], [" "], [""], ["ada", "bob"]], ids=ascii)
def test_who_can_be_nobody_is_refused(toy: ToyClient, names: list[str]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        toy.unary("Who", metadata=[("modelkeep-user", name) for name in names])

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info_of(refused.value).reason == "FIELD_INVALID"


def test_one_call_too_many_is_refused_with_when_to_retry() -> None:
    toys = run_edge((descriptor(), ToyService()), capacity=Capacity(unary_calls=2))
    with toys as running, grpc.insecure_channel(running.address) as channel:
        toy = ToyClient(channel)
        busy = [toy.call("Sleep").future(b"\x0a\x031.5") for _ in range(2)]
        until(lambda: running.figure("modelkeep_calls_running", method="toy.ToyService/Sleep") == 2)

        with pytest.raises(grpc.RpcError) as refused:
            toy.unary("Echo")

        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert info_of(refused.value).reason == "TOO_MANY_CALLS"
        assert info_of(refused.value).metadata["limit"] == "2"
        assert running.figure("modelkeep_refused_calls_total", kind="unary") == 1
        for call in busy:
            call.result(timeout=20)
        assert toy.unary("Echo", "now") == "now"


def test_a_call_given_up_counts_until_its_work_ends() -> None:
    toys = run_edge((descriptor(), ToyService()), capacity=Capacity(unary_calls=1))
    with toys as running, grpc.insecure_channel(running.address) as channel:
        toy = ToyClient(channel)

        def is_full() -> bool:
            refusal = toy.call("Echo").future(b"").exception(timeout=2)
            return refusal is not None and refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

        given_up = toy.call("Sleep").future(b"\x0a\x032.0")
        until(is_full)
        given_up.cancel()

        assert is_full()
        until(lambda: not is_full())


def test_a_server_with_an_rpc_without_permission_does_not_start() -> None:
    with pytest.raises(StartError, match=r"toy\.ToyService/Echo declares no permission"):
        list(resolve([(descriptor(permission=""), ToyService())], Metrics("test")))


def test_a_server_with_an_rpc_that_nothing_serves_does_not_start() -> None:
    with pytest.raises(StartError, match="object has no method for the rpc toy"):
        list(resolve([(descriptor(), object())], Metrics("test")))
