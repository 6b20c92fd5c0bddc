"""Streams that a service answers on the event loop: watches, which have no thread."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial

from google.protobuf.message import Message

from modelkeep.errors import Error
from modelkeep_server.edge import deadlines, wire
from modelkeep_server.edge.calls import Rpc
from modelkeep_server.edge.limits import Cap
from modelkeep_server.edge.opening import Context, Opening, checked


class Watch:
    """Runs a method's asynchronous generator for as long as its stream lasts."""

    def __init__(self, opening: Opening, cap: Cap, streams: set[Rpc], idle_seconds: float) -> None:
        """Open calls so, keep them in `streams`, and end one whose client doesn't read."""
        self._opening = opening
        self._cap = cap
        self._streams = streams
        self._idle_seconds = idle_seconds

    async def watch(self, rpc: Rpc, raw: bytes, context: Context) -> None:
        """Answer one request with messages as they come."""
        rpc.received = len(raw)
        self._opening.identify(rpc, context)
        request, call = self._opening.read(rpc, raw)
        await self._run(rpc, context, rpc.method.function(request, call))

    async def talk(self, rpc: Rpc, _: object, context: Context) -> None:
        """Answer requests as they come."""
        call = self._opening.identify(rpc, context)
        requests = self._requests(rpc, context)
        await self._run(rpc, context, rpc.method.function(requests, call))

    async def _requests(self, rpc: Rpc, context: Context) -> AsyncIterator[Message]:
        while True:
            async with deadlines.moving(self._idle_seconds):
                raw = await context.read()
            if not isinstance(raw, bytes):
                return
            rpc.received += len(raw)
            yield checked(rpc.method, raw)

    async def _run(
        self, rpc: Rpc, context: Context, answers: AsyncGenerator[wire.Sendable, None]
    ) -> None:
        self._cap.take(rpc.call.principal)
        rpc.end = partial(_end, rpc, asyncio.current_task())
        self._streams.add(rpc)
        try:
            async with aclosing(answers) as generator:
                async for answer in generator:
                    body = wire.body(answer)
                    async with deadlines.moving(self._idle_seconds):
                        await context.write(body)
                    rpc.sent += len(body)
        finally:
            self._streams.discard(rpc)
            self._cap.give(rpc.call.principal)


def _end(rpc: Rpc, task: "asyncio.Task[object] | None", error: Error) -> None:
    rpc.ending = error
    if task:
        task.cancel()
