"""Clients that move an alias, make versions and read both, and note each call and its end."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from tests.client.proxy import Proxy
from tests.services.wire import Registry, status
from tests.truth.checker import Operation

from modelkeep.v1 import version_pb2
from modelkeep.v1 import version_service_pb2 as pb

# After these nobody knows whether the write was made.
LOST = ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED")
ALIAS = "champion"
TARGETS = 3
QUICKLY = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)
_SECONDS = 20


class History:
    """The calls of one asset so far, and the alias's etag that anyone saw last."""

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.operations: list[Operation] = []
        self.etag = "-"
        self._moved = threading.Condition()

    def begin(self, operation: Operation) -> None:
        """Note that a call begins."""
        with self._moved:
            self.operations.append(operation)
            self._moved.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until so many calls have begun."""
        with self._moved:
            assert self._moved.wait_for(lambda: len(self.operations) >= count, 120)

    @property
    def known(self) -> list[Operation]:
        """The calls but for reads that were lost: those say nothing."""
        return [o for o in self.operations if o.kind != "read" or o.outcome != "unknown"]

    def lost(self) -> list[Operation]:
        """Give the writes that were acknowledged and, by the last reads, are not there."""
        done = [operation for operation in self.operations if operation.outcome == "ok"]
        writes = [o for o in done if o.kind != "read"]
        end = max((o.ended for o in writes), default=0)
        last = {o.thing: o for o in done if o.kind == "read" and o.call > end}
        return [o for o in writes if o.thing in last and _is_gone(o, last[o.thing], writes)]


def _is_gone(write: Operation, last: Operation, writes: list[Operation]) -> bool:
    if write.thing == "counter":
        return write.got_number > last.got_number
    if write.got_etag == last.got_etag:  # also a move to where it is
        return False
    shown = [other for other in writes if other.got_etag == last.got_etag]
    return last.got_etag == "-" or any(write.call > other.ended for other in shown)


class Client:
    """One client, on a connection of its own that can be cut."""

    def __init__(self, number: int, address: str) -> None:
        self.number = number
        self.proxy = Proxy(address)
        self.channel = grpc.insecure_channel(self.proxy.address, QUICKLY)
        self.registry = Registry(self.channel, "default", f"client-{number}")

    def close(self) -> None:
        """End its connections."""
        self.channel.close()
        self.proxy.__exit__(None, None, None)

    def act(self, history: History, rng: random.Random, content: str) -> None:
        """Make a call at random."""
        kind = rng.random()
        if kind < 0.35:
            etag = "" if rng.random() < 0.2 else history.etag
            self.move(history, rng.randint(1, TARGETS), etag)
        elif kind < 0.65:
            self.create(history, content)
        elif kind < 0.88:
            self.read_alias(history, by_version=rng.random() < 0.5)
        else:
            self.count(history)

    def move(self, history: History, number: int, etag: str) -> None:
        """Point the alias at a version, if it has this etag."""
        name = self.registry.alias(ALIAS, history.asset)
        request = pb.SetAliasRequest(
            name=name, version=self.registry.version(number, history.asset), etag=etag
        )
        operation = Operation(self.number, "alias", "set", 0, number, etag)
        answer = self._call(history, operation, self.registry.versions.SetAlias, request)
        if answer is not None:
            operation.got_number = int(answer.version.rpartition("/")[2])
            history.etag = operation.got_etag = answer.etag

    def create(self, history: History, content: str) -> None:
        """Make the next version."""
        request = pb.CreateVersionRequest(
            parent=self.registry.asset(history.asset),
            version=version_pb2.Version(record=version_pb2.VersionRecord(digest=content)),
            create_asset=True,
        )
        operation = Operation(self.number, "counter", "create", 0)
        answer = self._call(history, operation, self.registry.versions.CreateVersion, request)
        if answer is not None:
            operation.got_number = answer.number

    def read_alias(self, history: History, *, by_version: bool) -> None:
        """Read where the alias points to: by its own name, or by the version's."""
        operation = Operation(self.number, "alias", "read", 0, got_etag="-")
        if by_version:
            operation.got_etag = ""
            name = self.registry.version(f"@{ALIAS}", history.asset)
            request: Any = pb.GetVersionRequest(name=name)
            answer = self._call(history, operation, self.registry.versions.GetVersion, request)
            operation.got_number = answer.number if answer is not None else 0
            return
        request = pb.GetAliasRequest(name=self.registry.alias(ALIAS, history.asset))
        answer = self._call(history, operation, self.registry.versions.GetAlias, request)
        if answer is not None:
            operation.got_number = int(answer.version.rpartition("/")[2])
            history.etag = operation.got_etag = answer.etag

    def count(self, history: History) -> None:
        """Read the latest version's number."""
        operation = Operation(self.number, "counter", "read", 0)
        name = self.registry.version("latest", history.asset)
        request = pb.GetVersionRequest(name=name)
        answer = self._call(history, operation, self.registry.versions.GetVersion, request)
        operation.got_number = answer.number if answer is not None else 0

    def _call(
        self, history: History, operation: Operation, method: Callable[..., Any], request: Any
    ) -> Any:
        operation.call = time.monotonic_ns()
        history.begin(operation)
        try:
            answer = method(
                request, timeout=_SECONDS, wait_for_ready=True, metadata=self.registry.metadata
            )
        except grpc.RpcError as error:
            refusal = status(error)
            if refusal.code in LOST:
                return None
            operation.ended = time.monotonic_ns()
            expected = {"ETAG_MISMATCH": "mismatch", "RESOURCE_NOT_FOUND": "ok"}
            assert refusal.reason in expected, refusal
            operation.outcome = expected[refusal.reason]
            return None
        operation.ended = time.monotonic_ns()
        operation.outcome = "ok"
        return answer
