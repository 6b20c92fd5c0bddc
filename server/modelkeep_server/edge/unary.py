"""Calls of one request and one answer: in a thread, or together where they are short."""

import asyncio
from collections.abc import Callable

from modelkeep.errors import Error
from modelkeep_server.edge import deadlines, wire
from modelkeep_server.edge.calls import Rpc
from modelkeep_server.edge.limits import CappedPool
from modelkeep_server.edge.opening import Context, Opening
from modelkeep_server.values.call import Answer
from modelkeep_server.values.hints import NotShortError, ReadShortly

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
        read_shortly: ReadShortly | None,
    ) -> None:
        """Open calls so, run them in these threads, and give each `seconds`.

        Short reads run so, or on the event loop.
        """
        self._opening = opening
        self._judge = judge
        self._pool = pool
        self._seconds = seconds
        self._read_shortly = read_shortly

    async def __call__(self, rpc: Rpc, raw: bytes, context: Context) -> bytes:
        """Answer one call."""
        rpc.received = len(raw)
        self._opening.identify(rpc, context)
        method = rpc.method
        if method.on_loop:
            return _finish(rpc, await method.function(*self._opening.read(rpc, raw)), context)
        place = None
        if method.is_short:
            request, call = self._opening.read(rpc, raw)
            if method.is_short(request):
                if self._read_shortly is None:
                    return _finish(rpc, method.function(request, call), context)
                place = self._read_shortly

        def work() -> wire.Sendable:
            try:
                answer: wire.Sendable = method.function(*self._opening.read(rpc, raw))
            except (Error, NotShortError):
                raise
            except BaseException as fault:  # judged here, because the caller may be gone by now
                raise self._judge(rpc, fault) from None
            return answer

        try:
            async with asyncio.timeout(self._seconds) as timeout:
                answer = await self._run(rpc, work, place)
        except TimeoutError:
            if timeout.expired():
                raise deadlines.too_long(self._seconds) from None
            raise
        return _finish(rpc, answer, context)

    async def _run(
        self, rpc: Rpc, work: Callable[[], wire.Sendable], place: ReadShortly | None
    ) -> wire.Sendable:
        caller = rpc.call.principal
        try:
            return await asyncio.wrap_future(self._pool.submit(caller, work, place))
        except NotShortError:
            return await asyncio.wrap_future(self._pool.submit(caller, work))


def _finish(rpc: Rpc, answer: wire.Sendable, context: Context) -> bytes:
    if isinstance(answer, Answer) and answer.event_id:
        context.set_trailing_metadata(((wire.EVENT_ID_KEY, answer.event_id),))
    body = wire.body(answer)
    rpc.sent = len(body)
    return body
