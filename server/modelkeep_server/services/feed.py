"""Wakes watches when something that they wait for was committed.

Watches are coroutines on the event loop; commits happen in threads. A watch registers under the
resource that it watches, so that a commit wakes only those that it concerns.
"""

import asyncio

from modelkeep_server.records.log import Committed

_EVERYTHING = ""


class Feed:
    """The bridge from commits to watches."""

    def __init__(self) -> None:
        """Wait for the first watch to learn the event loop."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.position = 0
        """Of the last commit that watches were woken for, as it is known on the loop."""

    def subscribe(self, resource: str) -> asyncio.Event:
        """Answer what is set whenever something below `resource` was committed; on the loop."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.setdefault(resource, set()).add(event)
        return event

    def unsubscribe(self, resource: str, event: asyncio.Event) -> None:
        """Forget a watch; on the loop."""
        waiting = self._waiting[resource]
        waiting.discard(event)
        if not waiting:
            del self._waiting[resource]

    def committed(self, committed: Committed) -> None:
        """Wake the watches that this concerns; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, committed)

    def _wake(self, committed: Committed) -> None:
        # Threads may tell of two commits in the other order.
        self.position = max(self.position, committed.position)
        for scope in committed.scopes | {_EVERYTHING}:
            for event in self._waiting.get(scope, ()):
                event.set()
