"""Retries, deadlines and errors, against a server that says what a test wants."""

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

import modelkeep
from modelkeep.v1 import admin_service_pb2, alias_pb2, version_service_pb2

DETAILS = "grpc-status-details-bin"

Answer = Callable[[Any, grpc.ServicerContext], Any]


class Fake:
    """Answers by `answers`, one after another, the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.answers: list[Answer] = []

    def _answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request, context)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve two methods; gives the address."""
        server = grpc.server(futures.ThreadPoolExecutor(4))
        for service, method, request in (
            ("AdminService", "GetServerInfo", admin_service_pb2.GetServerInfoRequest),
            ("VersionService", "SetAlias", version_service_pb2.SetAliasRequest),
        ):
            handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
                self._answer,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            handlers = {method: handler}
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(f"modelkeep.v1.{service}", handlers),)
            )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def registry(fake: Fake) -> Iterator[modelkeep.Client]:
    with (
        fake.serving() as address,
        modelkeep.Client(address, user="ada", token="secret", timeout=3.0) as client,
    ):
        yield client


def _fine(_: Any, __: grpc.ServicerContext) -> Message:
    return admin_service_pb2.ServerInfo(version="1")


def _refuse(code: grpc.StatusCode, message: str, *details: Message) -> Answer:
    def answer(_: Any, context: grpc.ServicerContext) -> Any:
        status = status_pb2.Status(code=code.value[0], message=message)
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata(((DETAILS, bytes(status.SerializeToString())),))
        context.abort(code, message)

    return answer


def _reason(reason: str, **metadata: str) -> Any:
    return error_details_pb2.ErrorInfo(reason=reason, domain="modelkeep", metadata=metadata)


def _retry(seconds: float) -> Any:
    return error_details_pb2.RetryInfo(
        retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
    )


def test_an_error_is_the_one_that_the_server_raised(registry: modelkeep.Client, fake: Fake) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="version.labels", description="too many")
    fake.answers = [
        _refuse(
            grpc.StatusCode.INVALID_ARGUMENT,
            "too many labels",
            _reason("TOO_MANY_ITEMS", limit="64", field="x"),
            bad,
        )
    ]

    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        registry.server_info()

    error = refused.value
    assert (error.reason, str(error)) == ("TOO_MANY_ITEMS", "too many labels")
    assert error.metadata == {"limit": "64", "field": "x"}
    assert error.fields == (modelkeep.FieldViolation("version.labels", "too many"),)
    assert error.retry_after_seconds is None
    assert len(fake.requests) == 1


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.name != "OK"])
def test_every_status_code_has_its_class(
    registry: modelkeep.Client, fake: Fake, code: grpc.StatusCode
) -> None:
    fake.answers = [lambda _, context: context.abort(code, "words")]

    with pytest.raises(modelkeep.Error) as refused:
        registry.server_info()

    assert refused.value.code == code.name
    assert "words" in str(refused.value)


def test_details_that_cannot_be_read_are_no_other_error(
    registry: modelkeep.Client, fake: Fake
) -> None:
    def answer(_: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(((DETAILS, b"\xff\xff"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "words")

    fake.answers = [answer]

    with pytest.raises(modelkeep.NotFoundError):
        registry.server_info()


def test_what_is_unavailable_is_asked_again_with_the_same_request_id(
    registry: modelkeep.Client, fake: Fake
) -> None:
    fake.answers = [
        lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "not yet"),
        lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "not yet"),
        lambda _, __: alias_pb2.Alias(name="x"),
    ]

    assert registry.set_alias("churn:1", "champion").name == "x"

    ids = {request.request_id for request in fake.requests}
    assert len(fake.requests) == 3
    assert len(ids) == 1
    assert len(ids.pop()) == 36


@pytest.mark.parametrize("code", ["INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED", "UNKNOWN"])
def test_nothing_else_is_asked_again(registry: modelkeep.Client, fake: Fake, code: str) -> None:
    fake.answers = [_refuse(grpc.StatusCode[code], "no", _reason("SOMETHING"), _retry(0.1))]

    with pytest.raises(modelkeep.Error):
        registry.set_alias("churn:1", "champion")

    assert len(fake.requests) == 1


def test_an_overloaded_server_is_asked_again_when_it_said(
    registry: modelkeep.Client, fake: Fake
) -> None:
    busy = _refuse(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", _reason("TOO_MANY_CALLS"), _retry(0.2)
    )
    fake.answers = [busy, busy, _fine]

    assert registry.server_info().version == "1"
    assert len(fake.requests) == 3


def test_an_overloaded_server_is_not_waited_for_beyond_the_time_allowed(
    registry: modelkeep.Client, fake: Fake
) -> None:
    fake.answers = [
        _refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", _reason("TOO_MANY_CALLS"), _retry(60))
    ]

    with pytest.raises(modelkeep.ResourceExhaustedError) as refused:
        registry.server_info()

    assert refused.value.retry_after_seconds == 60


def test_a_call_ends_when_its_time_is_over(registry: modelkeep.Client, fake: Fake) -> None:
    end = threading.Event()
    fake.answers = [lambda _, __: end.wait(20)]

    with pytest.raises(modelkeep.DeadlineExceededError):
        registry.server_info()
    end.set()


@pytest.mark.parametrize(
    ("user", "sent"),
    [("ada", "ada"), ("Ada Löwe", "Ada L%C3%B6we"), (" x ", "x"), ("", None), ("a\nb", "a%0Ab")],
)
def test_the_caller_says_who_they_are(fake: Fake, user: str, sent: str | None) -> None:
    fake.answers = [_fine]

    with fake.serving() as address, modelkeep.Client(address, user=user) as client:
        client.server_info()

    assert fake.metadata[0].get("modelkeep-user") == sent
    assert "authorization" not in fake.metadata[0]


def test_a_token_is_sent(registry: modelkeep.Client, fake: Fake) -> None:
    fake.answers = [_fine]

    registry.server_info()

    assert fake.metadata[0]["authorization"] == "Bearer secret"
