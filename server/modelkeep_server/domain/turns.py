"""A server's turn at an operation's step, which may take as long as it takes.

* The lease is renewed meanwhile, and how far the step is can be seen.
* Where the server stops, or the operation was cancelled or taken over, the step breaks off: nothing
  of it has happened, and whoever goes on begins it again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from google.protobuf.message import Message

from modelkeep.errors import Error
from modelkeep_server.records import operations as rows
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.operations import LostError, StoredOperation
from modelkeep_server.records.records import Records

RENEW_SECONDS = 2.0


class OverError(Exception):
    """The turn is over before the step is."""


class Turn:
    """One step's time with its operation."""

    def __init__(
        self, records: Records, operation: StoredOperation, stopping: threading.Event
    ) -> None:
        """Keep the lease of this operation until the end of the block."""
        self._records = records
        self._operation = operation
        self._stopping = stopping
        self._taken = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self._progress: Callable[[], Message] | None = None
        self._thread = threading.Thread(target=self._run, name="turn", daemon=True)

    def __enter__(self) -> "Turn":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write nothing about the operation from now on; what an interrupt raised is its end."""
        self._ended.set()
        self._thread.join()
        if error is not None and self._is_over():
            raise OverError from error

    def go_on(self) -> None:
        """Raise `OverError` where the turn is over. A step that takes long asks often."""
        if self._is_over():
            raise OverError

    def show(self, progress: Callable[[], Message]) -> None:
        """Let the operation's progress be what this gives now and then, on another thread."""
        self._progress = progress

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt`, on another thread, when the turn is over before the block is."""
        with self._lock:
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None

    def _is_over(self) -> bool:
        return self._stopping.is_set() or self._taken.is_set()

    def _run(self) -> None:
        while not self._ended.wait(min(RENEW_SECONDS, rows.LEASE_US / 6e6)):
            if not self._is_over():
                self._renew()
            with self._lock:
                if self._is_over() and self._interrupt is not None:
                    self._interrupt()

    def _renew(self) -> None:
        progress = self._operation.progress
        if self._progress is not None:
            progress = self._progress().SerializeToString()
        try:
            found = self._records.bookkeep(
                lambda session: rows.renew(session, self._operation, progress, now_us())
            )
        except LostError:
            self._taken.set()
            return
        except Error:
            return  # the database can't be reached now
        if found.cancelled:
            self._taken.set()
