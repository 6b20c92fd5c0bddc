"""Calls of one request and one answer: in a thread, or together where they are short."""

import asyncio
from collections.abc import Callable

from modelkeep.errors import Error
from modelkeep_server.edge import deadlines, wire
from modelkeep_server.edge.calls import Rpc
from modelkeep_server.edge.limits import CappedPool
from modelkeep_server.edge.opening import Context, Opening
from modelkeep_server.values.call import Answer
from modelkeep_server.values.hints import NotShortError, ReadTogether

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
        read_together: ReadTogether | None,
    ) -> None:
        """Open calls so, run them in these threads, and give each `seconds`.

        Short reads run by `read_together`, or without it on the event loop.
        """
        self._opening = opening
        self._judge = judge
        self._pool = pool
        self._seconds = seconds
        self._read_together = read_together

    async def __call__(self, rpc: Rpc, raw: bytes, context: Context) -> bytes:
        """Answer one call."""
        rpc.received = len(raw)
        self._opening.identify(rpc, context)
        method = rpc.method
        if method.on_loop:
            return _finish(rpc, await method.function(*self._opening.read(rpc, raw)), context)
        opened, elsewhere = None, None
        if method.is_short:
            opened = self._opening.read(rpc, raw)
            if method.is_short(opened[0]):
                if self._read_together is None:
                    return _finish(rpc, method.function(*opened), context)
                elsewhere = self._read_together

        def work() -> wire.Sendable:
            try:
                request, call = opened or self._opening.read(rpc, raw)
                answer: wire.Sendable = method.function(request, call)
            except (Error, NotShortError):
                raise
            except BaseException as fault:  # judged here, because the caller may be gone by now
                raise self._judge(rpc, fault) from None
            return answer

        try:
            async with asyncio.timeout(self._seconds) as timeout:
                answer = await self._run(rpc, work, elsewhere)
        except TimeoutError:
            if timeout.expired():
                raise deadlines.too_long(self._seconds) from None
            raise
        return _finish(rpc, answer, context)

    async def _run(
        self, rpc: Rpc, work: Callable[[], wire.Sendable], elsewhere: ReadTogether | None
    ) -> wire.Sendable:
        caller = rpc.call.principal
        try:
            return await asyncio.wrap_future(self._pool.submit(caller, work, elsewhere))
        except NotShortError:
            return await asyncio.wrap_future(self._pool.submit(caller, work))


def _finish(rpc: Rpc, answer: wire.Sendable, context: Context) -> bytes:
    if isinstance(answer, Answer) and answer.event_id:
        context.set_trailing_metadata(((wire.EVENT_ID_KEY, answer.event_id),))
    body = wire.body(answer)
    rpc.sent = len(body)
    return body
