"""Events as they happen, across broken connections."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Self

from modelkeep._types import Event
from modelkeep._wire import Link, Stream, Wire, is_break
from modelkeep._workers import backoff
from modelkeep.errors import Error
from modelkeep.v1 import event_pb2
from modelkeep.v1 import event_service_pb2 as pb


class Watch(Iterator[Event]):
    """An endless iterator of events; `close()` it from any thread, or use it in a `with` block."""

    def __init__(
        self,
        wire: Wire,
        read: Callable[[event_pb2.Event], Event],
        resource: str,
        after: int | None,
    ) -> None:
        self._wire = wire
        self._read = read
        self._resource = resource
        self._position = after
        self._ended = threading.Event()
        self._stream: Stream[pb.WatchEventsResponse] | None = None
        self._events = self._go_on()

    @property
    def position(self) -> int | None:
        """How far it is: `after` for a watch that goes on from here. `None` before it began."""
        return self._position

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End it, also while another thread waits for its next event."""
        self._ended.set()
        if (stream := self._stream) is not None:
            stream.cancel()
        with contextlib.suppress(ValueError):  # that thread is in it, and ends it
            self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _go_on(self) -> Generator[Event, None, None]:
        failures = 0
        with self._wire.link(1) as link:
            while True:
                try:
                    for event in self._once(link):
                        failures = 0
                        yield event
                except Error as error:
                    if self._over:
                        return
                    if self._position is None or not is_break(error):
                        raise
                if self._over:
                    return
                failures += 1
                self._ended.wait(backoff(failures))

    @property
    def _over(self) -> bool:
        return self._ended.is_set() or self._wire.closed

    def _once(self, link: Link) -> Iterator[Event]:
        request = pb.WatchEventsRequest(resource=self._resource, after_position=self._position)
        stream = self._stream = link.stream(link.events.WatchEvents, request)
        try:
            if self._over:
                return
            for message in stream:
                if message.HasField("event"):
                    event = self._read(message.event)
                    self._position = event.position
                    yield event
                else:
                    self._position = message.bookmark.position
        finally:
            stream.cancel()
