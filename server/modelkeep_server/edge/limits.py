"""How many calls of a kind run at once. One too many is refused at once, never queued for long."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from modelkeep.errors import ResourceExhaustedError

RETRY_AFTER_SECONDS = 1.0

T = TypeVar("T")


class Submit(Protocol):
    """Runs work elsewhere, and answers at once what will hold its answer."""

    def __call__(self, work: Callable[[], T]) -> Future[T]:
        """Run `work`."""


class Cap:
    """A limit on the calls of one kind under way, in all and a caller. Any thread may call it."""

    def __init__(self, kind: str, limit: int, each: int, refused: Callable[[], None]) -> None:
        """Allow `limit` calls at once, `each` of one caller; tell `refused` of each one more."""
        self.kind = kind
        self.limit = limit
        self._each = each
        self._refused = refused
        self._taken = 0
        self._callers: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many calls are under way."""
        return self._taken

    def take(self, caller: str) -> None:
        """Count a caller's call, or refuse it."""
        with self._lock:
            has_room = self._taken < self.limit
            if has_room and self._callers[caller] < self._each:
                self._taken += 1
                self._callers[caller] += 1
                return
        self._refused()
        limit, whose = (self._each, "of one caller ") if has_room else (self.limit, "")
        raise ResourceExhaustedError(
            "TOO_MANY_CALLS",
            f"the server is at its limit of {limit} {self.kind} calls {whose}at once",
            retry_after_seconds=RETRY_AFTER_SECONDS,
            kind=self.kind,
            limit=limit,
        )

    def give(self, caller: str) -> None:
        """Count a caller's call no more."""
        with self._lock:
            self._taken -= 1
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]


class CappedPool:
    """Threads for one kind of work, and the cap on it."""

    def __init__(self, cap: Cap, threads: int, name: str) -> None:
        """Start threads as they are needed, at most so many."""
        self.cap = cap
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def submit(
        self, caller: str, work: Callable[[], T], elsewhere: Submit | None = None
    ) -> Future[T]:
        """Run this in a thread, or elsewhere, or refuse it.

        It counts until it ends, whoever still waits.
        """
        self.cap.take(caller)
        try:
            future = (elsewhere or self._threads.submit)(work)
        except RuntimeError:
            self.cap.give(caller)
            raise
        future.add_done_callback(lambda _: self.cap.give(caller))
        return future

    def close(self) -> None:
        """Start nothing more; what still runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
