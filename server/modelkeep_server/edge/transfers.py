"""Streams that a service answers from a thread: uploads and downloads."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from modelkeep.errors import Error
from modelkeep_server.edge import deadlines, wire
from modelkeep_server.edge.calls import Rpc
from modelkeep_server.edge.limits import CappedPool
from modelkeep_server.edge.opening import Context, Opening, checked
from modelkeep_server.edge.streams import GoneError, Stream
from modelkeep_server.edge.unary import Judge

LAST_WORD_SECONDS = 1.0
"""How long a stream that is ended has to say so, where its client doesn't read."""

Answers = Callable[[], Iterable[wire.Sendable]]


class Transfer:
    """Runs a method's generator in a thread for as long as its stream lasts."""

    def __init__(
        self,
        opening: Opening,
        judge: Judge,
        pool: CappedPool,
        streams: set[Rpc],
        idle_seconds: float,
    ) -> None:
        """Open calls so, keep them in `streams`, and end one that stands still so long."""
        self._opening = opening
        self._judge = judge
        self._pool = pool
        self._streams = streams
        self._idle_seconds = idle_seconds

    async def download(self, rpc: Rpc, raw: bytes, context: Context) -> None:
        """Answer one request with many messages."""
        rpc.received = len(raw)
        self._opening.identify(rpc, context)

        def answers() -> Iterable[wire.Sendable]:
            request, call = self._opening.read(rpc, raw)
            generator: Iterable[wire.Sendable] = rpc.method.function(request, call)
            return generator

        await self._run(rpc, context, self._stream(rpc), answers)

    async def upload(self, rpc: Rpc, _: object, context: Context) -> None:
        """Answer many requests with many messages."""
        call = self._opening.identify(rpc, context)
        stream = self._stream(rpc)
        requests = stream.requests(partial(checked, rpc.method))
        pump = asyncio.create_task(stream.pump(context, rpc.count_received))
        try:
            await self._run(rpc, context, stream, lambda: rpc.method.function(requests, call))
        finally:
            pump.cancel()

    def _stream(self, rpc: Rpc) -> Stream:
        return Stream(self._idle_seconds, lambda: rpc.end(deadlines.idle(self._idle_seconds)))

    async def _run(self, rpc: Rpc, context: Context, stream: Stream, answers: Answers) -> None:
        rpc.end = partial(_end, rpc, stream, asyncio.current_task())
        self._streams.add(rpc)
        try:
            run = partial(stream.run, answers, partial(self._judge, rpc))
            self._pool.submit(rpc.call.principal, run)
            async for body in stream.answers():
                await context.write(body)
                rpc.sent += len(body)
        finally:
            self._streams.discard(rpc)
            stream.fail(GoneError())
            stream.close()


def _end(rpc: Rpc, stream: Stream, task: "asyncio.Task[object] | None", error: Error) -> None:
    """End a stream: first by its service, then, where its client doesn't read, by force."""
    if rpc.ending is None and task:
        rpc.ending = error
        stream.fail(error)
        asyncio.get_running_loop().call_later(LAST_WORD_SECONDS, task.cancel)
