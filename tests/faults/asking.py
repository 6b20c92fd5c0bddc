"""A client with a thread of its own, which asks again until it is answered.

What it is told meanwhile is counted; anything that a client can't go on from ends it.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import grpc
from tests.services.wire import Registry, status

SECONDS = 30.0
"""How long a call may take: one that is not answered by then hung."""
PATIENCE_SECONDS = 150.0
_PAUSE_SECONDS = 0.2

# What a client may be told while something is wrong, to ask again.
AGAIN = {
    # Of grpc's own: the server can't be reached, or went away meanwhile.
    ("UNAVAILABLE", ""),
    ("CANCELLED", ""),
    ("UNAVAILABLE", "SERVER_STOPPING"),
    ("UNAVAILABLE", "STORAGE_UNAVAILABLE"),
    ("UNAVAILABLE", "STORAGE_BUSY"),
    ("ABORTED", "UPLOAD_IN_PROGRESS"),
    ("ABORTED", "UPLOAD_LEASE_LOST"),
    ("ABORTED", "SEAL_IN_PROGRESS"),
    ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS"),
}

QUICKLY: tuple[tuple[str, Any], ...] = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

T = TypeVar("T")


class Asking(ABC):
    """A client, and what it was told."""

    channel_options: Sequence[tuple[str, Any]] = QUICKLY

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.told: Counter[str] = Counter()
        self.slowest = 0.0
        self.calls = 0
        self._address = address
        self._problem: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    @property
    def is_over(self) -> bool:
        """Whether something that it was answered ended it."""
        return self._problem is not None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let it end once it has done what it does."""
        self._stop.set()

    def stop(self) -> None:
        """End what is being done, and say if it could not be."""
        self._stop.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    @abstractmethod
    def _act(self, registry: Registry) -> None:
        """Do something, again and again."""

    def _run(self) -> None:
        try:
            with grpc.insecure_channel(self._address, self.channel_options) as channel:
                registry = Registry(within(channel, SECONDS), "default", self.name)
                while not self._stop.is_set():
                    self._act(registry)
        except BaseException as problem:
            self._problem = problem

    def _insist(self, call: Callable[[], T]) -> T:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            start = time.monotonic()
            try:
                self.calls += 1
                return call()
            except grpc.RpcError as error:
                if not self._hear(error) or time.monotonic() > end:
                    raise
                self._stop.wait(_PAUSE_SECONDS)
            finally:
                self.slowest = max(self.slowest, time.monotonic() - start)

    def _hear(self, error: grpc.RpcError) -> bool:
        """Count what it was told; answer whether to ask again."""
        told = status(error)
        self.told[f"{told.code} {told.reason}"] += 1
        return (told.code, told.reason) in AGAIN


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Within(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Gives each call so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with(details), request)

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._with(details), requests)

    def _with(self, details: Any) -> _Details:
        return _Details(
            details.method,
            self._seconds,
            details.metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )


def within(channel: grpc.Channel, seconds: float) -> grpc.Channel:
    """Give each call of a channel so long."""
    return grpc.intercept_channel(channel, _Within(seconds))
