"""What goes on beside clients: collections, backups, restarts, samples."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from tests.faults.asking import Asking
from tests.services.wire import Registry
from tests.soak.replicas import BALANCED
from tests.verified import COMMAND

from modelkeep.v1 import admin_service_pb2, operation_service_pb2
from modelkeep_server.records.blobs import GRACE_US
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.sql import Session
from modelkeep_server.records.tables import Blob, CondemnedBlob

COLLECT_SECONDS = 10.0


class Chore:
    """Work that is done again and again."""

    def __init__(self, seconds: float, work: Callable[[], object]) -> None:
        self.done = 0
        self.problem: BaseException | None = None
        self._seconds = seconds
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._seconds):
                self._work()
                self.done += 1
        except BaseException as problem:
            self.problem = problem
            raise


@contextmanager
def every(seconds: float, work: Callable[[], object]) -> Iterator[Chore]:
    """Do something every so many seconds, until the end of the block."""
    chore = Chore(seconds, work)
    chore.start()
    try:
        yield chore
    finally:
        chore.stop()


class Operating(Asking):
    """A client that asks for operations, and waits for each."""

    channel_options = BALANCED

    def _end(self, registry: Registry, start: Any, request: Message, answer: Message) -> None:
        """Start an operation, and let it end; `answer` takes its response."""
        operation = self._insist(lambda: start(request, metadata=registry.metadata))
        get = operation_service_pb2.GetOperationRequest(name=operation.name)
        while not operation.done:
            time.sleep(0.2)
            operation = self._insist(lambda: registry.operations.GetOperation(get))
        assert operation.response.Unpack(answer), operation


class Collector(Operating):
    """Asks for a collection every ten seconds, and lets bytes age by a day before it does."""

    def __init__(self, address: str, database: str, settled_seconds: float) -> None:
        """Let age what nobody has sent or sealed for so long: it is sure to be used or left."""
        super().__init__(address, "collector")
        self.collections = 0
        self.deleted_blobs = 0
        self._database = database
        self._settled_us = round(settled_seconds * 1e6)

    def _run(self) -> None:
        with closing(PostgresDatabase(self._database)) as self._records:
            super()._run()

    def _act(self, registry: Registry) -> None:
        if self._stop.wait(COLLECT_SECONDS):
            return
        self._records.write(partial(_age, before_us=now_us() + GRACE_US - self._settled_us))
        request = admin_service_pb2.CollectGarbageRequest(request_id=str(uuid.uuid4()))
        answer = admin_service_pb2.CollectGarbageResponse()
        self._end(registry, registry.admin.CollectGarbage, request, answer)
        self.collections += 1
        self.deleted_blobs += answer.garbage.deleted_blobs


class Checker(Operating):
    """Asks for a check of everything, now and then of all bytes too; it must find all whole."""

    def __init__(self, address: str, seconds: float) -> None:
        """Ask so long after the last one."""
        super().__init__(address, "checker")
        self.checks = 0
        self._seconds = seconds

    def _act(self, registry: Registry) -> None:
        if self._stop.wait(self._seconds):
            return
        request = admin_service_pb2.VerifyRegistryRequest(
            read_data=self.checks % 5 == 4, request_id=str(uuid.uuid4())
        )
        answer = admin_service_pb2.VerifyRegistryResponse()
        self._end(registry, registry.admin.VerifyRegistry, request, answer)
        assert not answer.finding_count, answer
        self.checks += 1


def admin(*arguments: str | Path) -> str:
    """Run `modelkeep admin`, and answer what it printed; it must say that all is well."""
    command = [sys.executable, "-c", COMMAND, "admin", *map(str, arguments), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{arguments}: {ran.returncode} {ran.stdout} {ran.stderr}"
    return ran.stdout


def _age(session: Session, before_us: int) -> None:
    """Let a day pass for what would be safe until later than this, were it sent since."""
    session.run(Blob.update(grace_us=0).where((Blob.grace_us > 0) & (Blob.grace_us < before_us)))
    session.run(
        CondemnedBlob.update(due_us=0).where(
            (CondemnedBlob.due_us > 0) & (CondemnedBlob.due_us < before_us)
        )
    )
