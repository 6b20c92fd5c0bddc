"""Collection: what nothing refers to goes, and nothing else does."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import grpc
import pytest
from google.longrunning.operations_pb2 import Operation
from tests.running import RunningServer, run_server
from tests.services.wire import (
    MIB,
    Registry,
    digest,
    download,
    manifest,
)
from tests.verified import check_sound

from modelkeep.v1 import admin_service_pb2 as pb
from modelkeep.v1 import (
    artifact_service_pb2,
    operation_service_pb2,
    version_service_pb2,
)

SHARED, OWN, LARGE = b"shared" * 10, b"own" * 20, bytes(MIB) + b"large"
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose folder is whole, once the test is over."""
    data = tmp_path / "data"
    with run_server(data) as server, grpc.insecure_channel(server.address) as channel:
        found = Registry(channel, "default")
        found.server = server  # type: ignore[attr-defined]  # for its folder
        yield found
        assert server.figure("modelkeep_internal_errors_total") == 0
    check_sound(data)


def collect(r: Registry, *, dry_run: bool = False) -> pb.Garbage:
    """Collect, and tell what that came to."""
    request = pb.CollectGarbageRequest(dry_run=dry_run)
    operation = r.admin.CollectGarbage(request, metadata=r.metadata)
    answer = pb.CollectGarbageResponse()
    assert finished(r, operation).response.Unpack(answer)
    assert answer.dry_run == dry_run
    return answer.garbage


def finished(r: Registry, operation: Operation) -> Operation:
    """Wait for an operation's end."""
    end = time.monotonic() + 60
    while not operation.done:
        assert time.monotonic() < end, operation
        time.sleep(0.02)
        operation = r.operations.GetOperation(
            operation_service_pb2.GetOperationRequest(name=operation.name)
        )
    return operation


def _sql(r: Registry, statement: str, *values: Any) -> None:
    server: RunningServer = r.server  # type: ignore[attr-defined]
    with closing(apsw.Connection(str(server.data / "modelkeep.db"))) as database:
        database.set_busy_timeout(10_000)
        database.execute(statement, values)


def age(r: Registry) -> None:
    """Let all bytes be past their grace time."""
    _sql(r, "UPDATE blob SET grace_us = 0")
    _sql(r, "UPDATE condemned_blob SET due_us = 0")


def _files(r: Registry) -> set[str]:
    server: RunningServer = r.server  # type: ignore[attr-defined]
    return {path.name for path in (server.data / "blobs").rglob("*") if path.is_file()}


def purge(r: Registry, number: int, asset: str = "churn") -> None:
    """Delete a version, and release its bytes."""
    r.delete(number, asset)
    request = version_service_pb2.PurgeVersionRequest(name=r.version(number, asset), reason="test")
    r.versions.PurgeVersion(request, metadata=r.metadata)


def test_the_bytes_of_a_purged_version_are_deleted_but_for_what_others_share(
    registry: Registry,
) -> None:
    r = registry
    r.create(files={"shared": SHARED, "own": OWN, "large": LARGE})
    r.create(files={"shared": SHARED, "another": b"another"})
    purge(r, 1)
    age(r)

    garbage = collect(r)

    text = manifest({"shared": SHARED, "own": OWN, "large": LARGE})
    gone = len(OWN) + len(LARGE) + len(text)
    assert (garbage.released_manifests, garbage.condemned_blobs, garbage.deleted_blobs) == (1, 3, 3)
    assert (garbage.condemned_bytes, garbage.deleted_bytes) == (gone, gone)
    assert download(r, r.version(2), "shared") == [SHARED]
    assert set(r.missing(*map(digest, (SHARED, OWN, LARGE)))) == {digest(OWN), digest(LARGE)}
    assert len(_files(r)) == 3


def test_what_is_live_or_can_be_undeleted_stays(registry: Registry) -> None:
    r = registry
    r.create(files={"own": OWN})
    r.create(files={"large": LARGE})
    r.delete(1)
    age(r)

    garbage = collect(r)

    assert (garbage.released_manifests, garbage.condemned_blobs, garbage.deleted_blobs) == (0, 0, 0)
    r.undelete(1)
    assert download(r, r.version(1), "own") == [OWN]
    assert download(r, r.version(2), "large") == [LARGE]


def test_what_was_sent_or_asked_for_lately_stays(registry: Registry) -> None:
    r = registry
    r.seal({"own": OWN})
    r.push_blobs(LARGE, SHARED)
    age(r)
    r.push_blobs(SHARED)
    assert r.missing(digest(LARGE)) == {}

    garbage = collect(r)

    assert r.missing(digest(LARGE), digest(SHARED)) == {}
    assert set(r.missing(digest(OWN))) == {digest(OWN)}
    assert garbage.condemned_blobs == 2


def test_a_seal_answered_anew_keeps_its_manifest(registry: Registry) -> None:
    r = registry
    name = r.seal({"own": OWN})
    age(r)
    request = artifact_service_pb2.SealManifestRequest(parent=r.name, digest=name)
    assert list(r.artifacts.SealManifest(request, metadata=r.metadata))[-1].done

    garbage = collect(r)

    assert garbage.condemned_blobs == 0
    assert r.create(files=name).number == 1


def test_a_dry_run_tells_the_same_and_changes_nothing(registry: Registry) -> None:
    r = registry
    r.create(files={"shared": SHARED, "own": OWN})
    r.create(files={"shared": SHARED})
    r.create(files={"large": LARGE})
    purge(r, 1)
    r.delete(3)
    _sql(r, "UPDATE version SET purge_us = 1 WHERE number = 3")
    age(r)
    files, log = _files(r), r.acts()

    wanted = collect(r, dry_run=True)

    assert (_files(r), r.acts()) == (files, log)
    assert wanted.condemned_blobs == 4
    _sql(r, "UPDATE version SET purge_us = 1 WHERE number = 3")
    got = collect(r)
    assert (got.purged_versions, got.released_manifests) == (1, 2)
    for name in ("looked_at", "purged_versions", "released_manifests", "condemned_blobs"):
        assert getattr(wanted, name) == getattr(got, name), name
    assert wanted.condemned_bytes == got.condemned_bytes == got.deleted_bytes
