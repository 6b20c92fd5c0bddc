"""Calls: channels, who we say we are, deadlines, retries, errors.

* Unary calls share one channel; transfers and watches have others, so that bytes and long
  silences hold up nothing.
* gRPC itself repeats what is UNAVAILABLE, which is safe: every write has a `request_id`.
  A stream is never repeated here; who reads it knows where to go on.
* A refusal for overload is repeated when the server said, within the call's time.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import grpc

from modelkeep._address import Address
from modelkeep._channel import Metadata, caller, open_channel
from modelkeep._status import to_error
from modelkeep._trace import joined, without_instrumentation
from modelkeep.errors import (
    CancelledError,
    DeadlineExceededError,
    Error,
    ResourceExhaustedError,
    UnavailableError,
)
from modelkeep.v1 import (
    access_service_pb2_grpc,
    admin_service_pb2_grpc,
    artifact_service_pb2_grpc,
    asset_service_pb2_grpc,
    event_service_pb2_grpc,
    monitoring_service_pb2_grpc,
    namespace_service_pb2_grpc,
    operation_service_pb2_grpc,
    version_service_pb2_grpc,
)

_Request = TypeVar("_Request", contravariant=True)
_Response = TypeVar("_Response", covariant=True)
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer", covariant=True)

_MAX_STREAMS = 80  # of those that a server lets a connection have


class _Unary(Protocol[_Request, _Response]):
    def __call__(
        self, request: _Request, /, timeout: float | None = None, metadata: Any = None
    ) -> _Response: ...


class _Call(Protocol[_Answer]):
    """A call under way."""

    def __next__(self) -> _Answer: ...

    def cancel(self) -> object: ...


class _Streaming(Protocol[_Request, _Answer]):
    def __call__(
        self, request: _Request, /, timeout: float | None = None, metadata: Any = None
    ) -> _Call[_Answer]: ...


class Stream(Iterator[_Item]):
    """Messages of a stream; raises our errors. `cancel` ends it from any thread."""

    def __init__(self, call: _Call[_Item], address: Address) -> None:
        self._call = call
        self._address = address

    def __next__(self) -> _Item:
        try:
            return next(self._call)
        except grpc.RpcError as problem:
            raise to_error(problem, self._address) from None

    def cancel(self) -> None:
        """End it; what was waiting for a message gets a `CancelledError`."""
        self._call.cancel()


class Link:
    """A channel for transfers and watches, with its stubs."""

    def __init__(self, channel: grpc.Channel, address: Address, metadata: Metadata) -> None:
        self.streams = 0  # that its users may open
        self.artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self._channel = channel
        self._address = address
        self._metadata = metadata

    def stream(self, method: _Streaming[_Request, _Item], request: _Request) -> Stream[_Item]:
        """Open a stream; nothing that the server says is raised before its first message."""
        return _open(method, request, self._metadata, self._address)

    def close(self) -> None:
        """End its streams."""
        self._channel.close()


class Wire:
    """The way to one server, made when first needed; safe to use from many threads."""

    def __init__(
        self, url: str, *, token: str, user: str | None, timeout_seconds: float, links: bool = True
    ) -> None:
        self.url = url
        # Whether to ask for links; not again where there are none.
        self.links = self.upload_links = links
        self._address = Address.parse(url)
        self.encrypted = self._address.tls
        self._timeout = timeout_seconds
        self._metadata = caller(self._address, token, user)
        self._lock = threading.Lock()
        self._closed = False
        self._links: list[Link] = []
        channel = open_channel(self._address)
        self._unary = channel
        self.access = access_service_pb2_grpc.AccessServiceStub(channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        self.artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
        self.assets = asset_service_pb2_grpc.AssetServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.monitoring = monitoring_service_pb2_grpc.MonitoringServiceStub(channel)
        self.namespaces = namespace_service_pb2_grpc.NamespaceServiceStub(channel)
        self.operations = operation_service_pb2_grpc.OperationServiceStub(channel)
        self.versions = version_service_pb2_grpc.VersionServiceStub(channel)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def call(self, method: _Unary[_Request, _Response], request: _Request) -> _Response:
        """Ask and wait for the answer, or raise one of our errors."""
        end = time.monotonic() + self._timeout
        while True:
            try:
                return method(
                    request,
                    timeout=max(end - time.monotonic(), 0.001),
                    metadata=joined(self._metadata),
                )
            except grpc.RpcError as problem:
                error = to_error(problem, self._address)
            except ValueError:  # grpc's way to say that the channel is closed
                error = closed_error()
            delay = overload_delay(error)
            if delay is None or time.monotonic() + delay > end:
                raise error
            time.sleep(delay)

    def stream(self, method: _Streaming[_Request, _Item], request: _Request) -> Stream[_Item]:
        """Open a stream that is soon at its end."""
        return _open(method, request, self._metadata, self._address)

    @contextmanager
    def link(self, streams: int) -> Iterator[Link]:
        """Give a channel for so many streams at once, until the block ends."""
        with self._lock:
            if self._closed:
                raise closed_error()
            room = (one for one in self._links if one.streams + streams <= _MAX_STREAMS)
            link = next(room, None)
            if link is None:
                link = Link(open_channel(self._address), self._address, self._metadata)
                self._links.append(link)
            link.streams += streams
        try:
            yield link
        finally:
            with self._lock:
                link.streams -= streams

    def close(self) -> None:
        """End everything under way."""
        with self._lock:
            self._closed = True
            links, self._links = self._links, []
        for link in links:
            link.close()
        self._unary.close()


def _open(
    method: _Streaming[_Request, _Item], request: _Request, metadata: Metadata, address: Address
) -> Stream[_Item]:
    try:
        with without_instrumentation():
            return Stream(method(request, metadata=joined(metadata)), address)
    except ValueError:  # grpc's way to say that the channel is closed
        raise closed_error() from None


def closed_error() -> Error:
    """Give the error for a client that was closed."""
    return CancelledError("CLIENT_CLOSED", "this client was closed; make another one")


def is_break(error: Error) -> bool:
    """Tell whether a stream broke off rather than being refused: going on may help."""
    if isinstance(error, UnavailableError | DeadlineExceededError):
        return True
    if error.reason in ("WATCH_TOO_SLOW", "TOO_MANY_CALLS"):
        return True
    return error.reason in ("UNKNOWN", "INTERNAL", "CANCELLED")  # not modelkeep's own answer


def overload_delay(error: Error) -> float | None:
    """Tell how many seconds to wait before trying again, where the server is only too busy."""
    if isinstance(error, ResourceExhaustedError) and error.reason == "TOO_MANY_CALLS":
        return error.retry_after_seconds
    return None
