"""Sealing: manifests of any size, checked once, gone on with after any break."""

import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from google.longrunning.operations_pb2 import Operation
from tests.running import RunningServer
from tests.services.processes import registry_of, serving
from tests.services.wire import SECONDS, Registry, digest, manifest, refused

from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import operation_service_pb2, version_service_pb2
from modelkeep_server.domain import sealing as domain
from modelkeep_server.records.sealing import Seal

FILES = [uuid.uuid4().bytes for _ in range(10)]
NAMES = [digest(file) for file in FILES]


def _large(count: int) -> bytes:
    """Write a manifest of so many files, of few blobs."""
    return manifest({f"part-{n // 1000}/{n:06}.bin": NAMES[n % 10] for n in range(count)})


def _seal(registry: Registry, text: bytes) -> Any:
    request = pb.SealManifestRequest(parent=registry.name, digest=digest(text))
    return registry.artifacts.SealManifest(request, timeout=SECONDS)


def _sent(registry: Registry, text: bytes) -> bytes:
    registry.push_blobs(*FILES, text)
    return text


def _progress(operation: Operation) -> tuple[int, int]:
    metadata = pb.SealManifestMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata.checked_files, metadata.file_count


def _response(operation: Operation) -> pb.SealManifestResponse:
    response = pb.SealManifestResponse()
    assert operation.done
    assert operation.response.Unpack(response)
    return response


def test_a_seal_tells_what_it_sealed(registry: Registry) -> None:
    text = _sent(registry, _large(25))

    (operation,) = _seal(registry, text)

    assert _progress(operation) == (25, 25)
    assert _response(operation) == pb.SealManifestResponse(
        digest=digest(text), file_count=25, size=25 * 16
    )
    got = registry.operations.GetOperation(
        operation_service_pb2.GetOperationRequest(name=operation.name)
    )
    assert got == operation


def test_a_sealed_manifest_is_answered_at_once(registry: Registry) -> None:
    text = _sent(registry, _large(3_000))
    last = list(_seal(registry, text))[-1]

    assert list(_seal(registry, text)) == [last]


def test_two_hundred_thousand_files_are_a_version(registry: Registry) -> None:
    text = _sent(registry, _large(200_000))
    started = time.monotonic()

    operations = list(_seal(registry, text))

    assert time.monotonic() - started < 30
    checked = [_progress(operation)[0] for operation in operations]
    assert checked == sorted(set(checked))
    assert checked[-1] == 200_000
    assert _response(operations[-1]).size == 200_000 * 16
    created = time.monotonic()
    made = registry.create(files=digest(text))
    assert time.monotonic() - created < 1
    assert (made.record.file_count, made.record.size) == (200_000, 3_200_000)
    last = registry.versions.ListFiles(
        version_service_pb2.ListFilesRequest(
            parent=made.name, path_prefix="part-199", page_size=10_000
        )
    )
    assert [file.path for file in last.files] == [
        f"part-199/{n}.bin" for n in range(199_000, 200_000)
    ]


def test_two_do_not_seal_one_manifest(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _sent(registry, _large(5_000))
    refusals = threading.Event()
    describe = domain.operation

    def held(seal: Seal) -> Operation:
        if seal.checked_files > domain.BATCH:
            refusals.wait(timeout=20)
        return describe(seal)

    monkeypatch.setattr(domain, "operation", held)
    first = _seal(registry, text)
    next(first)

    with refused("ABORTED", "SEAL_IN_PROGRESS") as refusal:
        list(_seal(registry, text))
    refusals.set()

    assert refusal.metadata == {"digest": digest(text)}
    assert refusal.retry_seconds is not None
    assert 0 < refusal.retry_seconds <= 10
    assert list(first)[-1].done


def test_a_seal_that_was_broken_off_goes_on_where_it_was(registry: Registry) -> None:
    text = _sent(registry, _large(20_000))
    broken = _seal(registry, text)
    reached = _progress(next(broken))[0]
    broken.cancel()
    name = ""

    end = time.monotonic() + 5
    while not name and time.monotonic() < end:
        try:
            operations = list(_seal(registry, text))
            name = operations[-1].name
        except Exception:
            time.sleep(0.05)

    assert _progress(operations[0])[0] > reached
    assert _response(operations[-1]).file_count == 20_000


def test_a_seal_goes_on_after_a_kill(tmp_path: Path) -> None:
    text = _large(100_000)
    with serving(tmp_path / "data") as server, registry_of(server) as registry:
        _sent(registry, text)
        seal = _seal(registry, text)
        reached = _progress(next(seal))[0]
        server.kill()
        seal.cancel()

    with serving(tmp_path / "data") as server, registry_of(server) as registry:
        with refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED"):
            registry.create(files=digest(text))
        operations = list(_seal(registry, text))

        assert _progress(operations[0])[0] > reached
        assert registry.create(files=digest(text)).record.file_count == 100_000


def test_seals_at_once_end_in_one(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _sent(registry, _large(3_000))
    together = threading.Barrier(2)
    check = domain._check

    def slow(*arguments: Any) -> int:
        count = check(*arguments)
        together.wait(timeout=5)
        return count

    monkeypatch.setattr(domain, "_check", slow)
    found: list[list[Operation]] = []
    busy: list[Exception] = []

    def run() -> None:
        try:
            found.append(list(_seal(registry, text)))
        except Exception as error:
            busy.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) + len(busy) == 2
    assert found
    assert all(operations[-1].done for operations in found)


def test_a_seal_that_another_finished_meanwhile_is_answered(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _sent(registry, _large(10))
    others: list[Operation] = []
    check = domain._check

    def overtaken(*arguments: Any) -> int:
        count = check(*arguments)
        if not others:
            monkeypatch.setattr(domain, "_check", check)
            others.extend(_seal(registry, text))
        return count

    monkeypatch.setattr(domain, "_check", overtaken)

    assert list(_seal(registry, text)) == others
    assert others[-1].done


def test_a_manifest_is_sealed_in_each_parent_by_itself(
    registry: Registry, shared: RunningServer
) -> None:
    text = _large(5)
    for parent in (registry.name, registry.asset("one")):
        registry.push_blobs(*FILES, text, parent=parent)
        (operation,) = registry.artifacts.SealManifest(
            pb.SealManifestRequest(parent=parent, digest=digest(text))
        )
        assert _response(operation).file_count == 5

    assert registry.create("one", digest(text)).number == 1
    assert registry.create("two", digest(text)).number == 1


def test_operations_are_listed_by_the_namespace_that_they_are_in(registry: Registry) -> None:
    other = registry.beside()
    registry.create()
    other.create()

    mine = registry.operations.ListOperations(
        operation_service_pb2.ListOperationsRequest(parent=registry.name)
    )

    assert len(mine.operations) == 1
    metadata = pb.SealManifestMetadata()
    assert mine.operations[0].metadata.Unpack(metadata)
    assert metadata.parent == registry.name
