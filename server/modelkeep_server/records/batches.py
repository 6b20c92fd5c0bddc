"""Requests to a database that one thread takes up to 64 at once.

Writes are committed together, so that they share one fsync; short reads share a round trip. Each
is for itself: it has its own answer or error, and one that fails takes nothing with it.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from modelkeep.errors import UnavailableError
from modelkeep_server.records.sql import Session

BATCH = 64

T = TypeVar("T")
Work: TypeAlias = Callable[[Session], T]


@dataclass(slots=True)
class Job:
    """One request: what it does, of a write in a transaction, and what came of it."""

    work: Work[Any]
    future: Future[Any]
    value: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Answer who waits."""
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class Batches:
    """Takes requests from any thread, and has them brought to their ends by its own."""

    def __init__(
        self,
        name: str,
        end: Callable[[Sequence[Job]], None],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Let `end` bring each job to its end; `rest` is called once they were answered."""
        self._end = end
        self._rest = rest
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        # Held so that nothing is queued behind the end.
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many wait for the next batch, or nearly so many."""
        return self._jobs.qsize()

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue `work`, and answer at once what will hold its answer."""
        future: Future[T] = Future()
        with self._closing:
            if not self._closed:
                self._jobs.put(Job(work, future))
                return future
        future.set_exception(UnavailableError("SERVER_STOPPING", "the server is stopping"))
        return future

    def close(self) -> None:
        """Finish what is queued, and take nothing more."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._next_batch():
            try:
                self._end(jobs)
            except BaseException as fault:  # else this thread ends, and everyone waits for it
                fail(jobs, fault)
            for job in jobs:
                job.settle()
            self._rest()

    def _next_batch(self) -> list[Job]:
        jobs: list[Job] = []
        while len(jobs) < BATCH:
            try:
                job = self._jobs.get(block=not jobs)
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            # From here on it can't be cancelled, as it will be answered.
            if job.future.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs


def fail(jobs: Sequence[Job], error: BaseException | None) -> None:
    """Let each of these have this error."""
    for job in jobs:
        job.value, job.error = None, error
