"""The bridge between a stream on the event loop and a service's generator in a thread.

* A few messages are under way in each direction, so that reading, working and writing overlap; a
  side that is behind makes the other wait. So a stream's memory is bounded, whatever its size.
* A stream that waits for its client longer than it may is `stalled`. While the service works,
  however long, nothing stalls.
* `fail` ends it from outside: the service's next request, or its next answer, raises. Either way
  the generator is closed in its own thread, so its `finally` blocks run there.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol

from google.protobuf.message import Message

from modelkeep_server.edge import wire

DEPTH = 2
"""Requests read ahead, and answers not yet written."""

HEARING_SECONDS = 0.005
"""How long the end of the requests is held back, in case the caller went away."""


class Reader(Protocol):
    """What requests are read from."""

    async def read(self) -> object:
        """Give the next message's bytes, or grpc's end of the stream."""


class GoneError(Exception):
    """The caller went away."""


class Stream:
    """One stream: `requests`, `run` in the service's thread, the rest on the loop."""

    def __init__(self, idle_seconds: float, stalled: Callable[[], None]) -> None:
        """Tell `stalled` when the stream has waited for its client for so long."""
        self._loop = asyncio.get_running_loop()
        self._idle_seconds = idle_seconds
        self._stalled = stalled
        self._timer = self._loop.call_later(idle_seconds, self._look)
        self._waiting_since: float | None = None
        self._failure: BaseException | None = None
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self._room_to_read: asyncio.Future[None] | None = None
        self._answers: deque[bytes | None] = deque()
        self._answered: asyncio.Future[None] | None = None
        self._room_to_write = threading.Semaphore(DEPTH)
        self._problem: BaseException | None = None

    # In the service's thread.

    def requests(self, read: Callable[[bytes], Message]) -> Iterator[Message]:
        """Give the requests as they come, each read and checked."""
        while (raw := self._next_request()) is not None:
            yield read(raw)

    def run(
        self,
        answers: Callable[[], Iterable[wire.Sendable]],
        judge: Callable[[BaseException], BaseException],
    ) -> None:
        """Pass a generator's answers on until it ends, whichever way."""
        try:
            generator = answers()
            try:
                for answer in generator:
                    self._send(wire.body(answer))
            finally:
                if isinstance(generator, Iterator) and hasattr(generator, "close"):
                    generator.close()
        except BaseException as problem:
            self._problem = judge(problem)
        self._waiting_since = time.monotonic()  # for the client to take what is left
        self._on_loop(self._answer, None)

    def _next_request(self) -> bytes | None:
        if self._requests.empty():
            self._waiting_since = time.monotonic()
        raw = self._requests.get()
        self._waiting_since = None
        if self._failure:
            raise self._failure
        if self._room_to_read:
            self._on_loop(self._let_read)
        return raw

    def _send(self, body: bytes) -> None:
        if not self._room_to_write.acquire(blocking=False):
            self._waiting_since = time.monotonic()
            self._room_to_write.acquire()
            self._waiting_since = None
        if self._failure:
            raise self._failure
        self._on_loop(self._answer, body)

    def _on_loop(self, act: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(act, *arguments)

    # On the loop.

    async def pump(self, source: Reader, count: Callable[[int], None]) -> None:
        """Read requests ahead, as long as there is room."""
        while True:
            await self._until_room_to_read()
            raw = await source.read()
            if not isinstance(raw, bytes):
                # A caller that goes away ends its requests too, and grpc may tell of the end first.
                await asyncio.sleep(HEARING_SECONDS)
                self._requests.put(None)
                return
            count(len(raw))
            self._requests.put(raw)

    async def answers(self) -> AsyncIterator[bytes]:
        """Give the answers as they come; at the end raise what the service raised."""
        while True:
            while not self._answers:
                self._answered = self._loop.create_future()
                await self._answered
            body = self._answers.popleft()
            if body is None:
                break
            yield body
            if self._waiting_since is not None:
                self._waiting_since = time.monotonic()
            self._room_to_write.release()
        if self._problem:
            raise self._problem

    def fail(self, failure: BaseException) -> None:
        """Make the service's next step raise this; only the first failure counts."""
        if self._failure is None:
            self._failure = failure
            self._requests.put(None)
            self._room_to_write.release()

    def close(self) -> None:
        """Look no more whether the stream stalls."""
        self._timer.cancel()

    async def _until_room_to_read(self) -> None:
        while self._requests.qsize() >= DEPTH:
            self._room_to_read = self._loop.create_future()
            if self._requests.qsize() >= DEPTH:  # else it was taken before we asked
                await self._room_to_read
            self._room_to_read = None

    def _let_read(self) -> None:
        if self._room_to_read and not self._room_to_read.done():
            self._room_to_read.set_result(None)

    def _answer(self, body: bytes | None) -> None:
        self._answers.append(body)
        if self._answered and not self._answered.done():
            self._answered.set_result(None)

    def _look(self) -> None:
        since = self._waiting_since
        rest = self._idle_seconds
        if since is not None:
            rest -= time.monotonic() - since
        if rest <= 0:
            self._stalled()
        else:
            self._timer = self._loop.call_later(rest, self._look)
