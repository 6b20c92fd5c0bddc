"""The edge's own view of a method, and of a call under way."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf.message import Message

from modelkeep.errors import Error
from modelkeep_server.edge.metrics import MethodMetrics
from modelkeep_server.edge.tracing import Span
from modelkeep_server.values.call import Call
from modelkeep_server.values.hints import IsShort

UNCALLED = Call("", "", "", "", b"", 0)


class Kind(Enum):
    """How a method is run; each kind has a limit and a place of its own."""

    UNARY = "unary"  # one request, one answer
    DOWNLOAD = "download"  # answers come from a generator in a thread
    UPLOAD = "upload"  # so do they, and the generator takes requests
    WATCH = "watch"  # answers come from an asynchronous generator: no thread
    TALK = "talk"  # so do they, and it takes requests


@dataclass(frozen=True, slots=True)
class Method:
    """A method as it is served.

    Attributes:
        name: `modelkeep.v1.VersionService/GetVersion`.
        permission: What its caller needs; empty where everyone may call it (health, reflection).
        request: The class of its requests.
        function: The service's method: `(request or requests, call)`.
        check: Refuses a request that breaks the contract's rules.
        resource: Tells which resource a request is about, for the log.
        on_loop: Whether it is a coroutine, for the event loop.
        is_short: Tells whether a request asks for a short read.
    """

    name: str
    kind: Kind
    permission: str
    request: type[Message]
    function: Callable[[Any, Call], Any]
    check: Callable[[Message], None]
    resource: Callable[[Message], str]
    metrics: MethodMetrics
    on_loop: bool
    is_short: IsShort | None


class Rpc:
    """A call under way: what its log line and its figures say, and what ends it early."""

    __slots__ = (
        "call",
        "end",
        "ending",
        "method",
        "received",
        "resource",
        "sent",
        "span",
        "started",
    )

    def __init__(self, method: Method) -> None:
        """Begin now."""
        self.method = method
        self.started = time.monotonic()
        self.call = UNCALLED
        self.received = 0
        self.sent = 0
        self.resource = ""
        self.ending: Error | None = None
        self.span: Span | None = None
        self.end: Callable[[Error], None] = self._can_not_end

    def _can_not_end(self, error: Error) -> None:
        """Leave a call alone that ends by itself soon."""

    def count_received(self, size: int) -> None:
        """Count a message's bytes."""
        self.received += size
