"""Collection, as the tests ask for it."""

import time
from pathlib import Path

from google.longrunning.operations_pb2 import Operation
from tests.raw import Stored, ask
from tests.services.wire import Registry

from modelkeep.v1 import admin_service_pb2, operation_service_pb2, version_service_pb2

SECONDS = 120


def collect(r: Registry, *, dry_run: bool = False) -> admin_service_pb2.Garbage:
    """Collect, and tell what that came to."""
    ended = finished(r, begin(r, dry_run=dry_run))
    answer = admin_service_pb2.CollectGarbageResponse()
    assert ended.response.Unpack(answer), ended
    assert answer.dry_run == dry_run
    return answer.garbage


def begin(r: Registry, *, dry_run: bool = False, request_id: str = "") -> Operation:
    """Ask for a collection."""
    request = admin_service_pb2.CollectGarbageRequest(dry_run=dry_run, request_id=request_id)
    return r.admin.CollectGarbage(request, metadata=r.metadata)


def finished(r: Registry, operation: Operation) -> Operation:
    """Wait for an operation's end."""
    end = time.monotonic() + SECONDS
    while not operation.done:
        assert time.monotonic() < end, operation
        time.sleep(0.01)
        request = operation_service_pb2.GetOperationRequest(name=operation.name)
        operation = r.operations.GetOperation(request)
    return operation


def purge(r: Registry, number: int, asset: str = "churn") -> None:
    """Delete a version, and release its bytes."""
    r.delete(number, asset)
    request = version_service_pb2.PurgeVersionRequest(name=r.version(number, asset), reason="test")
    r.versions.PurgeVersion(request, metadata=r.metadata)


def age(stored: Stored) -> None:
    """Let all bytes be past their grace time."""
    ask(stored, "UPDATE blob SET grace_us = 0")
    ask(stored, "UPDATE condemned_blob SET due_us = 0")


def files(data: Path) -> set[str]:
    """List the keys of what is published."""
    return {path.name for path in (data / "blobs").rglob("*") if path.is_file()}
