"""Clients that ask again until they are answered, with the same request id, whatever happens.

Each has an asset of its own. So however often a call is repeated, its versions have the numbers
from 1 on without a gap, each with the bytes that were sent for it.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple, TypeVar

import grpc
from tests.services.wire import MIB, Registry, download, status

SECONDS = 30.0
"""How long a call may take: one that is not answered by then hung."""
PATIENCE_SECONDS = 150.0
_PAUSE_SECONDS = 0.2

# What a client may be told while something is wrong, to ask again.
AGAIN = {
    ("UNAVAILABLE", ""),  # of grpc's own: the server can't be reached
    ("UNAVAILABLE", "SERVER_STOPPING"),
    ("UNAVAILABLE", "STORAGE_UNAVAILABLE"),
    ("ABORTED", "UPLOAD_IN_PROGRESS"),
    ("ABORTED", "UPLOAD_LEASE_LOST"),
    ("ABORTED", "SEAL_IN_PROGRESS"),
    ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS"),
}

T = TypeVar("T")


class Insisting:
    """A client, and what it was told."""

    def __init__(self, address: str, name: str, seed: int) -> None:
        self.name = name
        self.made: dict[int, bytes] = {}
        self.told: Counter[str] = Counter()
        self.slowest = 0.0
        self._address = address
        self._random = Random(f"{seed}-{name}")
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

    def stop(self) -> None:
        """End what is being done, and say if it could not be."""
        self._stop.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def problems(self, registry: Registry) -> Iterator[str]:
        """Tell what was acknowledged and is not there, or is there and is wrong."""
        there = sorted(registry.numbers(self.name, page_size=1000)) if self.made else []
        if there != list(range(1, len(self.made) + 1)):
            yield f"{self.name} has {there}, and was told of {sorted(self.made)}"
            return
        for number, data in self.made.items():
            if download(registry, registry.version(number, self.name), "f") != [data]:
                yield f"{self.name}:{number} has other bytes"
        if self.made and registry.get("@best", self.name).number != max(self.made):
            yield f"{self.name}@best is another"

    def _run(self) -> None:
        try:
            with grpc.insecure_channel(self._address, _QUICKLY) as channel:
                registry = Registry(within(channel, SECONDS), "default", self.name)
                while not self._stop.is_set():
                    self._act(registry)
        except BaseException as problem:
            self._problem = problem

    def _act(self, registry: Registry) -> None:
        size = self._random.choice((100, 5_000, 5_000, 300_000, 3 * MIB))
        data = self._random.randbytes(size)
        sealed = self._insist(lambda: registry.seal({"f": data}))
        request_id = str(uuid.uuid4())
        made = self._insist(
            lambda: registry.create(self.name, sealed, request_id=request_id)
        ).number
        assert made not in self.made, f"{self.name} was told of {made} twice"
        self.made[made] = data
        alias_id = str(uuid.uuid4())
        self._insist(lambda: registry.set_alias("best", made, self.name, request_id=alias_id))
        got = self._insist(lambda: download(registry, registry.version(made, self.name), "f"))
        assert got == [data], f"{self.name}:{made} has other bytes"

    def _insist(self, call: Callable[[], T]) -> T:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            start = time.monotonic()
            try:
                return call()
            except grpc.RpcError as error:
                told = status(error)
                self.told[f"{told.code} {told.reason}"] += 1
                if (told.code, told.reason) not in AGAIN or time.monotonic() > end:
                    raise
                self._stop.wait(_PAUSE_SECONDS)
            finally:
                self.slowest = max(self.slowest, time.monotonic() - start)


@contextmanager
def insisting(
    addresses: Sequence[str], count: int, seed: int, name: str
) -> Iterator[list[Insisting]]:
    """Let so many clients act, until the end of the block, on assets that begin with `name`."""
    clients = [Insisting(addresses[n % len(addresses)], f"{name}-{n}", seed) for n in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        problems = []
        for client in clients:
            try:
                client.stop()
            except BaseException as problem:
                problems.append(problem)
    if problems:
        raise BaseExceptionGroup("clients were answered wrongly", problems)


_QUICKLY = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


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
