"""Long work as operations: done in steps, and gone on with wherever its server died.

* A step looks, and perhaps changes what is not in the records, so that it can be repeated; then it
  is one transaction, which says too how far the operation is.
* An operation is done by whoever has its lease; a server does one of each kind at a time, so that
  none waits for one of another kind that takes hours.
* One that is cancelled ends before its next step, or in the middle of one that takes long. What it
  has done stays done.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from google.longrunning.operations_pb2 import Operation
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from modelkeep.errors import AbortedError, Error, ResourceExhaustedError, UnavailableError
from modelkeep_server.domain.sealing import OPERATION_PREFIX
from modelkeep_server.domain.turns import OverError, Turn
from modelkeep_server.records import operations as rows
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.operations import LostError, StoredOperation
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction

POLL_SECONDS = 2.0
"""How soon a server sees what another was asked for, or left."""

PATIENCE_SECONDS = 300.0
"""So long an operation waits for a database or a store to do what it was asked."""

STOP_SECONDS = 10.0
_PASSING = (AbortedError, ResourceExhaustedError, UnavailableError)
Step: TypeAlias = Callable[[Session], tuple[str, Message]]


class Job(Protocol):
    """A kind of operation."""

    @property
    def kind(self) -> str:
        """The kind's name."""

    def step(self, operation: StoredOperation, turn: Turn) -> Step | None:
        """Begin the next step; nothing where there is none.

        What it answers is run in a transaction, perhaps again, and tells where to go on and how
        far the operation is. What takes long before that breaks off when its `turn` is over.
        """

    def metadata(self, operation: StoredOperation) -> Message:
        """Tell how far an operation is."""

    def response(self, operation: StoredOperation) -> Message:
        """Tell what came of an operation that is done."""


class Operations:
    """The operations of a registry: asking for them, looking at them, doing them."""

    def __init__(
        self,
        records: Records,
        jobs: Iterable[Job],
        on_fault: Callable[[str, Exception | None], None],
    ) -> None:
        """Do these jobs; `on_fault` is told what should not happen, and what holds them up."""
        self._records = records
        self._jobs = {job.kind: job for job in jobs}
        self._on_fault = on_fault
        self._stopping = threading.Event()
        self._waiting: dict[str, float] = {}  # operations, and since when for what passes
        self._wakes = {kind: threading.Event() for kind in self._jobs}
        self._threads = [
            threading.Thread(target=self._run, args=[job], name=job.kind, daemon=True)
            for job in self._jobs.values()
        ]

    def ask(self, tx: Transaction, kind: str, request: Message, *, changes: bool) -> Operation:
        """Ask for an operation. One that `changes` something is an act, and so on the log."""
        body = request.SerializeToString(deterministic=True)
        stored = rows.add(tx, kind, body, logged=changes)
        if changes:
            tx.note(f"{OPERATION_PREFIX}{stored.name}", 1, type(request), None, body)
        return self.describe(stored)

    def describe(self, stored: StoredOperation) -> Operation:
        """Make an operation's message."""
        job = self._jobs[stored.kind]
        answer = Operation(name=f"{OPERATION_PREFIX}{stored.name}", done=stored.done)
        answer.metadata.Pack(job.metadata(stored))
        if stored.error is not None:
            answer.error.ParseFromString(stored.error)
        elif stored.done:
            answer.response.Pack(job.response(stored))
        return answer

    def start(self) -> None:
        """Begin to do what was asked for."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look now whether something was asked for."""
        for wake in self._wakes.values():
            wake.set()

    def stop(self) -> None:
        """End after the steps under way, or in the middle of long ones, and let others go on."""
        self._stopping.set()
        self.wake()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                # One that lists a large store ends with the process, and its lease soon after.
                thread.join(max(end - time.monotonic(), 0))

    def _run(self, job: Job) -> None:
        wake = self._wakes[job.kind]
        while not self._stopping.is_set():
            try:
                found = self._take(job)
                if found is not None:
                    self._do(job, found)
                    continue
            except Exception as fault:
                self._on_fault("an operation can't be taken up or ended", fault)
            wake.wait(POLL_SECONDS)
            wake.clear()

    def _take(self, job: Job) -> StoredOperation | None:
        waiting = rows.waiting(self._records.read(), job.kind, now_us())
        if waiting is None:
            return None
        return self._records.bookkeep(lambda tx: rows.take(tx, waiting, now_us()))

    def _do(self, job: Job, operation: StoredOperation) -> None:
        current = operation
        try:
            while not (self._stopping.is_set() or current.cancelled):
                with Turn(self._records, current, self._stopping) as turn:
                    step = job.step(current, turn)
                if step is None:
                    return self._end(current, None)
                current = self._records.bookkeep(_advancing(current, step))
                self._waiting.pop(current.name, None)
        except LostError:
            return None
        except OverError:
            found = rows.find(self._records.read(), current.name)
            if found is None or found.fence != current.fence:
                return None  # another server does it by now
            current = found
        except _PASSING as problem:
            now = time.monotonic()
            since = self._waiting.setdefault(current.name, now)
            if since == now:
                self._on_fault(f"{OPERATION_PREFIX}{current.name} waits: {problem}", None)
            if now - since > PATIENCE_SECONDS:
                return self._end(current, _status(problem))
            # Not at once: it would pass no sooner.
            self._stopping.wait(POLL_SECONDS)
        except Exception as fault:
            self._on_fault(f"{OPERATION_PREFIX}{current.name} failed", fault)
            return self._end(current, Status(code=Code.INTERNAL, message="see the server's log"))
        if current.cancelled:
            return self._end(current, Status(code=Code.CANCELLED, message="it was cancelled"))
        return self._records.bookkeep(lambda tx: rows.give_back(tx, current))

    def _end(self, operation: StoredOperation, error: Status | None) -> None:
        self._waiting.pop(operation.name, None)
        body = error.SerializeToString() if error is not None else None
        self._records.bookkeep(lambda tx: rows.end(tx, operation, body))


def _status(problem: Error) -> Status:
    return Status(code=Code.Value(problem.code), message=f"{problem.reason}: {problem}")


def _advancing(operation: StoredOperation, step: Step) -> Callable[[Session], StoredOperation]:
    def work(session: Session) -> StoredOperation:
        cursor, progress = step(session)
        body = progress.SerializeToString()
        return rows.advance(session, operation, cursor, body, now_us())

    return work
