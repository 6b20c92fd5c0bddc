"""A call from its first byte to its last.

Each concern has a file; here they come together: a call is refused while the server stops, opened
(`opening`), run where its kind runs (`unary`, `transfers`, `watches`), answered (`errors`),
counted (`metrics`), logged (`logs`) and traced (`tracing`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn

import grpc
from grpc import aio

from modelkeep.errors import Error, UnavailableError
from modelkeep_server.edge import errors
from modelkeep_server.edge.access import OpenAccess
from modelkeep_server.edge.calls import Kind, Method, Rpc
from modelkeep_server.edge.identity import OpenIdentity
from modelkeep_server.edge.limits import Cap, CappedPool
from modelkeep_server.edge.logs import Logger
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.edge.opening import Opening
from modelkeep_server.edge.streams import GoneError
from modelkeep_server.edge.tracing import Tracer
from modelkeep_server.edge.transfers import Transfer
from modelkeep_server.edge.unary import Unary
from modelkeep_server.edge.watches import Watch
from modelkeep_server.values.capacity import Capacity
from modelkeep_server.values.hints import ReadTogether

Handle = Callable[[Any, Any], Awaitable[Any]]
Body = Callable[[Rpc, Any, Any], Awaitable[Any]]
Maker = Callable[[Handle], "grpc.RpcMethodHandler[Any, Any]"]

UNARY_THREADS = 64


SHARED = (Kind.UPLOAD, Kind.DOWNLOAD)
SHARES = 2
"""One caller has at most this part of the streams, so that nobody takes them all."""


class Edge:
    """What stands around every call."""

    def __init__(
        self,
        identity: OpenIdentity,
        access: OpenAccess,
        capacity: Capacity,
        metrics: Metrics,
        log: Logger,
        *,
        read_together: ReadTogether | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """Make the pools and caps that this capacity asks for.

        Short reads run by `read_together`, or without it on the event loop.
        """
        self._log = log
        self._tracer = tracer
        self._errors = metrics.errors
        self._report = errors.reporter(log, metrics.internal_errors.inc)
        self._stopping: Error | None = None
        self._streams: set[Rpc] = set()

        def cap(kind: Kind, limit: int) -> Cap:
            each = max(1, limit // SHARES) if kind in SHARED else limit
            return Cap(kind.value, limit, each, metrics.refused.labels(kind.value).inc)

        def pool(kind: Kind, limit: int, threads: int) -> CappedPool:
            return CappedPool(cap(kind, limit), threads, kind.value)

        unary = pool(Kind.UNARY, capacity.unary_calls, min(UNARY_THREADS, capacity.unary_calls))
        uploads = pool(Kind.UPLOAD, capacity.uploads, capacity.uploads)
        downloads = pool(Kind.DOWNLOAD, capacity.downloads, capacity.downloads)
        self._pools = (unary, uploads, downloads)
        watches = cap(Kind.WATCH, capacity.watches)
        self._caps = (*(pool.cap for pool in self._pools), watches)
        metrics.caps.extend(self._caps)

        opening = Opening(identity, access)
        judge, streams, idle = self._judged, self._streams, capacity.idle_seconds
        watch = Watch(opening, watches, streams, idle)
        self._bodies: dict[Kind, tuple[Maker, Body]] = {
            Kind.UNARY: (
                grpc.unary_unary_rpc_method_handler,
                Unary(opening, judge, unary, capacity.unary_seconds, read_together),
            ),
            Kind.DOWNLOAD: (
                grpc.unary_stream_rpc_method_handler,
                Transfer(opening, judge, downloads, streams, idle).download,
            ),
            Kind.UPLOAD: (
                grpc.stream_stream_rpc_method_handler,
                Transfer(opening, judge, uploads, streams, idle).upload,
            ),
            Kind.WATCH: (grpc.unary_stream_rpc_method_handler, watch.watch),
            Kind.TALK: (grpc.stream_stream_rpc_method_handler, watch.talk),
        }

    def handler(self, methods: Iterable[Method]) -> grpc.GenericRpcHandler:
        """Give grpc one handler for all of these.

        One, because grpc.aio waits apart for each handler that is registered by name, and every
        call would pay for all of them.
        """
        handlers = {}
        for method in methods:
            make, body = self._bodies[method.kind]
            handlers[f"/{method.name}"] = make(self._around(method, body))
        return _ByName(handlers)

    def running(self) -> int:
        """How many calls are under way, but for those on the event loop."""
        return sum(cap.taken for cap in self._caps)

    def stop(self) -> None:
        """Refuse new calls and end streams; unary calls go on."""
        self._stopping = UnavailableError(
            "SERVER_STOPPING", "the server is stopping; try again", retry_after_seconds=1
        )
        for rpc in list(self._streams):
            if rpc.method.kind is not Kind.WATCH or rpc.method.permission:
                rpc.end(self._stopping)  # a health watch says so first, and ends by itself

    def close(self) -> None:
        """Let go of the threads; what still runs in them is not waited for."""
        for pool in self._pools:
            pool.close()

    def _around(self, method: Method, body: Body) -> Handle:
        """Run a body; answer, count and log however it ends."""

        async def handle(raw: Any, context: Any) -> Any:
            rpc = Rpc(method)
            if self._tracer and method.permission:
                rpc.span = self._tracer.begin(method.name, context.invocation_metadata() or ())
            method.metrics.running += 1
            error: Error | None = None
            code = "OK"
            try:
                if self._stopping and method.permission:
                    raise self._stopping
                return await body(rpc, raw, context)
            except BaseException as problem:
                error = self._error(rpc, problem)
                code = error.code if error else "CANCELLED"
                if error is None:
                    raise asyncio.CancelledError from None
            finally:
                self._ended(rpc, code, error)
            return await _abort(context, error)

        return handle

    def _error(self, rpc: Rpc, problem: BaseException) -> Error | None:
        """Say what to answer; nothing where nobody is there any more."""
        if isinstance(problem, asyncio.CancelledError):
            return rpc.ending
        problem = self._judged(rpc, problem)
        return problem if isinstance(problem, Error) else None

    def _judged(self, rpc: Rpc, problem: BaseException) -> BaseException:
        """Report a fault, and turn it into an error that may be answered."""
        if isinstance(problem, Error | GoneError | aio.BaseError):
            return problem
        return self._report(rpc.method.name, problem)

    def _ended(self, rpc: Rpc, code: str, error: Error | None) -> None:
        seconds = time.monotonic() - rpc.started
        method = rpc.method
        method.metrics.ended(code, seconds, rpc.received, rpc.sent)
        reason = error.reason if error else ""
        if error:
            self._errors[code, reason] += 1
        traced = {}
        if rpc.span:
            rpc.span.end(code, reason)
            traced = {"trace": rpc.span.trace_id}
        write = self._log.info if method.permission else self._log.debug
        write(
            "call",
            method=method.name,
            code=code,
            reason=reason,
            principal=rpc.call.principal,
            resource=rpc.resource,
            ms=round(seconds * 1000, 3),
            received=rpc.received,
            sent=rpc.sent,
            **traced,
        )


class _ByName(grpc.GenericRpcHandler):
    def __init__(self, handlers: dict[str, "grpc.RpcMethodHandler[Any, Any]"]) -> None:
        self._handlers = handlers

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        return self._handlers.get(details.method)


async def _abort(context: Any, error: Error) -> NoReturn:
    status = errors.to_status(error)
    details = (errors.DETAILS_KEY, status.SerializeToString())
    try:
        await context.abort(errors.grpc_code(error), status.message, (details,))
    except aio.AbortError:
        raise
    except aio.BaseError:  # the caller went away first
        raise asyncio.CancelledError from None
    raise AssertionError("abort always raises")
