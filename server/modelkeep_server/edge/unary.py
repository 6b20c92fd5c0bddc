"""Calls of one request and one answer: in a thread, or where they are quick, on the loop."""

import asyncio
from collections.abc import Callable

from modelkeep.errors import Error
from modelkeep_server.edge import deadlines, wire
from modelkeep_server.edge.calls import Rpc
from modelkeep_server.edge.limits import CappedPool
from modelkeep_server.edge.opening import Context, Opening
from modelkeep_server.values.call import Answer

Judge = Callable[[Rpc, BaseException], BaseException]
"""Turns a fault into an error that may be answered, and reports it."""


class Unary:
    """Runs methods of one answer."""

    def __init__(
        self,
        opening: Opening,
        judge: Judge,
        pool: CappedPool,
        seconds: float,
        *,
        quick_reads: bool,
    ) -> None:
        """Open calls so, run them in these threads, and give each `seconds`.

        Without `quick_reads` nothing runs on the event loop.
        """
        self._opening = opening
        self._judge = judge
        self._pool = pool
        self._seconds = seconds
        self._quick_reads = quick_reads

    async def __call__(self, rpc: Rpc, raw: bytes, context: Context) -> bytes:
        """Answer one call."""
        rpc.received = len(raw)
        self._opening.identify(rpc, context)
        method = rpc.method
        if method.quick and self._quick_reads:
            request, call = self._opening.read(rpc, raw)
            if method.quick(request):
                return _finish(rpc, method.function(request, call), context)

        def work() -> wire.Sendable:
            try:
                request, call = self._opening.read(rpc, raw)
                answer: wire.Sendable = method.function(request, call)
            except Error:
                raise
            except BaseException as fault:  # judged here, because the caller may be gone by now
                raise self._judge(rpc, fault) from None
            return answer

        try:
            async with asyncio.timeout(self._seconds) as timeout:
                answer = await asyncio.wrap_future(self._pool.submit(rpc.call.principal, work))
        except TimeoutError:
            if timeout.expired():
                raise deadlines.too_long(self._seconds) from None
            raise
        return _finish(rpc, answer, context)


def _finish(rpc: Rpc, answer: wire.Sendable, context: Context) -> bytes:
    if isinstance(answer, Answer) and answer.event_id:
        context.set_trailing_metadata(((wire.EVENT_ID_KEY, answer.event_id),))
    body = wire.body(answer)
    rpc.sent = len(body)
    return body
