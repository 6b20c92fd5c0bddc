"""Collection: what nothing refers to goes, and nothing else does."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.code_pb2 import Code
from tests.collecting import age, begin, collect, files, finished, purge
from tests.raw import ask
from tests.running import RunningServer, of_database, run_server
from tests.services.wire import MIB, SECONDS, Registry, digest, download, manifest, refused
from tests.verified import check_sound_here

from modelkeep.v1 import (
    admin_service_pb2,
    artifact_service_pb2,
    asset_service_pb2,
    event_service_pb2,
    namespace_pb2,
    namespace_service_pb2,
    operation_service_pb2,
    version_service_pb2,
)
from modelkeep_server.records.clock import now_us

SHARED, OWN, LARGE = b"shared" * 10, b"own" * 20, bytes(MIB) + b"large"


@pytest.fixture
def server(tmp_path: Path, database: str | None) -> Iterator[RunningServer]:
    """A server whose data is whole once the test is over."""
    data = tmp_path / "data"
    with run_server(data, **of_database(database)) as running:
        yield running
        assert running.figure("modelkeep_internal_errors_total") == 0
        assert [line for line in running.log() if line["level"] == "error"] == []
    if database is None:
        check_sound_here(data)


@pytest.fixture
def r(server: RunningServer) -> Iterator[Registry]:
    with grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, "default")


def test_the_bytes_of_a_purged_version_go_but_for_what_others_share(
    r: Registry, server: RunningServer
) -> None:
    r.create(files={"shared": SHARED, "own": OWN, "large": LARGE})
    r.create(files={"shared": SHARED, "another": b"another"})
    purge(r, 1)
    age(server)

    garbage = collect(r)

    text = manifest({"shared": SHARED, "own": OWN, "large": LARGE})
    gone = len(OWN) + len(LARGE) + len(text)
    assert (garbage.released_manifests, garbage.condemned_blobs, garbage.deleted_blobs) == (1, 3, 3)
    assert (garbage.condemned_bytes, garbage.deleted_bytes) == (gone, gone)
    assert download(r, r.version(2), "shared") == [SHARED]
    assert set(r.missing(*map(digest, (SHARED, OWN, LARGE)))) == {digest(OWN), digest(LARGE)}
    assert len(files(server.data)) == 3


def test_bytes_stay_while_a_copy_of_the_records_is_made(r: Registry, server: RunningServer) -> None:
    r.create(files={"own": OWN})
    purge(r, 1)
    age(server)
    until_us = (now_us() + 60_000_000).to_bytes(8)
    ask(server, "INSERT INTO setting (key, value) VALUES (?, ?)", "collection_hold/a", until_us)

    held = collect(r)
    ask(server, "DELETE FROM setting WHERE key = ?", "collection_hold/a")
    free = collect(r)

    assert (held.condemned_blobs, held.deleted_blobs) == (2, 0)
    assert (free.condemned_blobs, free.deleted_blobs) == (0, 2)


def test_what_is_live_or_can_be_undeleted_stays(r: Registry, server: RunningServer) -> None:
    r.create(files={"own": OWN})
    r.create(files={"large": LARGE})
    r.delete(1)
    age(server)

    garbage = collect(r)

    assert (garbage.released_manifests, garbage.condemned_blobs, garbage.deleted_blobs) == (0, 0, 0)
    r.undelete(1)
    assert download(r, r.version(1), "own") == [OWN]
    assert download(r, r.version(2), "large") == [LARGE]


def test_what_was_sent_or_asked_for_lately_stays(r: Registry, server: RunningServer) -> None:
    r.seal({"own": OWN})
    r.push_blobs(LARGE, SHARED)
    age(server)
    r.push_blobs(SHARED)
    assert r.missing(digest(LARGE)) == {}

    garbage = collect(r)

    assert r.missing(digest(LARGE), digest(SHARED)) == {}
    assert set(r.missing(digest(OWN))) == {digest(OWN)}
    assert garbage.condemned_blobs == 2


def test_a_blob_that_was_sent_before_stays_when_it_is_sent_again(
    r: Registry, server: RunningServer
) -> None:
    r.push_blobs(LARGE)
    age(server)
    r.push_blobs(LARGE)

    collect(r)

    assert r.missing(digest(LARGE)) == {}


def test_a_seal_that_is_asked_for_again_keeps_its_manifest(
    r: Registry, server: RunningServer
) -> None:
    name = r.seal({"own": OWN})
    age(server)
    request = artifact_service_pb2.SealManifestRequest(parent=r.name, digest=name)
    assert list(r.artifacts.SealManifest(request, metadata=r.metadata))[-1].done

    garbage = collect(r)

    assert garbage.condemned_blobs == 0
    assert r.create(files=name).number == 1


def test_what_was_collected_can_be_pushed_again(r: Registry, server: RunningServer) -> None:
    name = r.create(files={"own": OWN}).record.digest
    purge(r, 1)
    age(server)
    before = files(server.data)
    collect(r)
    with refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED"):
        r.create(files=name)

    assert r.create(files={"own": OWN}).number == 2

    assert download(r, r.version(2), "own") == [OWN]
    assert before & files(server.data) == set()
    with refused("FAILED_PRECONDITION", "CONTENT_PURGED"):
        download(r, r.version(1), "own")


def test_a_large_manifest_is_released_in_steps(
    r: Registry, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelkeep_server.domain.collection.TAKEN", 7)
    monkeypatch.setattr("modelkeep_server.domain.collection.LOOKED_AT", 10)
    for version in range(6):
        r.create(files={f"{n:02}": f"{n % 20} {version // 2}".encode() for n in range(20)})
        if version % 2:
            purge(r, version + 1)
    purge(r, 1)
    age(server)

    garbage = collect(r)

    # The first two are of the same files.
    assert (garbage.released_manifests, garbage.condemned_blobs) == (1, 21)
    assert garbage.looked_at == 3 + 3 * 21
    assert len(download(r, r.version(3), *(f"{n:02}" for n in range(20)))) == 20


def test_a_dry_run_tells_the_same_and_changes_nothing(r: Registry, server: RunningServer) -> None:
    r.create(files={"shared": SHARED, "own": OWN})
    r.create(files={"shared": SHARED})
    r.create(files={"large": LARGE})
    purge(r, 1)
    _no_undeleting(r)
    r.delete(3)
    age(server)
    before, log = files(server.data), r.acts()

    wanted = collect(r, dry_run=True)

    assert (files(server.data), r.acts()) == (before, log)
    got = collect(r)
    assert (got.purged_versions, got.released_manifests, got.condemned_blobs) == (1, 2, 4)
    assert got.deleted_bytes == got.condemned_bytes
    got.ClearField("deleted_blobs")
    got.ClearField("deleted_bytes")
    assert wanted == got


def test_a_version_that_can_not_be_undeleted_any_more_is_purged(
    r: Registry, server: RunningServer
) -> None:
    r.create(files={"own": OWN})
    _no_undeleting(r)
    r.delete(1)
    age(server)

    garbage = collect(r)

    assert (garbage.purged_versions, garbage.deleted_blobs) == (1, 2)
    event = r.log(r.version(1))[-1]
    assert (event.record.act, event.record.principal) == ("version.purged", "principals/system")
    assert r.get(1).purged
    assert r.get_asset().size == 0


def test_the_versions_of_an_asset_that_can_not_be_undeleted_are_purged(
    r: Registry, server: RunningServer
) -> None:
    r.create(files={"own": OWN})
    r.create(files={"shared": SHARED})
    r.delete(2)
    request = asset_service_pb2.DeleteAssetRequest(name=r.asset())
    _no_undeleting(r)
    r.assets.DeleteAsset(request, metadata=r.metadata)
    age(server)

    garbage = collect(r)

    assert (garbage.purged_versions, garbage.deleted_blobs) == (2, 4)
    assert files(server.data) == set()


def test_who_collected_is_on_the_log_and_who_only_looked_is_not(r: Registry) -> None:
    looked = begin(r, dry_run=True)
    asked = begin(r)

    listed = r.events.ListEvents(event_service_pb2.ListEventsRequest()).events
    events = [event for event in listed if event.record.act == "collection.started"]
    changes = [change for event in events for change in event.record.changes]
    assert [change.resource for change in changes] == [asked.name] != [looked.name]
    assert changes[0].type.endswith("CollectGarbageRequest")
    metadata = admin_service_pb2.CollectGarbageMetadata()
    assert finished(r, asked).metadata.Unpack(metadata)
    assert metadata.principal == events[0].record.principal
    assert metadata.create_time.seconds


def test_a_repeat_asks_for_one_collection(r: Registry) -> None:
    request_id = str(uuid.uuid4())

    first = begin(r, request_id=request_id)

    assert begin(r, request_id=request_id).name == first.name
    with refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED"):
        begin(r, dry_run=True, request_id=request_id)


def test_operations_are_listed_before_seals_and_page_by_page(r: Registry) -> None:
    r.create()
    r.create()
    asked = [begin(r, dry_run=True).name for _ in range(3)]
    listed, token = [], ""
    while True:
        request = operation_service_pb2.ListOperationsRequest(page_size=2, page_token=token)
        page = r.operations.ListOperations(request)
        listed += [operation.name for operation in page.operations]
        if not (token := page.next_page_token):
            break

    assert listed[:3] == asked[::-1]
    assert len(set(listed)) == len(listed) == 5
    of_namespace = operation_service_pb2.ListOperationsRequest(parent=r.name)
    seals = r.operations.ListOperations(of_namespace).operations
    assert [seal.name for seal in seals] == listed[3:]


def test_a_cancelled_operation_ends(r: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would never come to its end.
    monkeypatch.setattr(
        "modelkeep_server.domain.collection.rows.versions", lambda *_: [0], raising=True
    )
    asked = begin(r, dry_run=True)
    request = operation_service_pb2.CancelOperationRequest(name=asked.name)

    ended = finished(r, r.operations.CancelOperation(request))

    assert ended.error.code == Code.CANCELLED
    assert r.operations.CancelOperation(request) == ended


def test_a_download_that_a_purge_overtakes_ends_with_the_reason(
    r: Registry, server: RunningServer
) -> None:
    names = [f"{n}" for n in range(6)]
    bodies = {name: name.encode() * (4 * MIB) for name in names}
    r.create(files=bodies)
    request = artifact_service_pb2.DownloadFilesRequest(
        version=r.version(1),
        ranges=[artifact_service_pb2.FileRange(path=name) for name in names],
    )
    stream = r.artifacts.DownloadFiles(request, timeout=SECONDS)
    got = [bytearray() for _ in names]

    def take(response: artifact_service_pb2.DownloadFilesResponse) -> None:
        for piece in response.chunks:
            got[piece.range_index] += piece.data

    take(next(stream))
    purge(r, 1)
    age(server)
    collect(r)

    with refused("FAILED_PRECONDITION", "CONTENT_PURGED"):
        for response in stream:
            take(response)
    assert all(bodies[name].startswith(some) for name, some in zip(names, got, strict=True))


def test_the_files_of_a_purged_version_are_not_listed(r: Registry) -> None:
    r.create(files={"own": OWN})
    r.create(files={"own": OWN})
    purge(r, 1)
    v = version_service_pb2

    with refused("FAILED_PRECONDITION", "CONTENT_PURGED"):
        r.versions.ListFiles(v.ListFilesRequest(parent=r.version(1)))
    with refused("FAILED_PRECONDITION", "CONTENT_PURGED"):
        r.versions.CompareVersions(v.CompareVersionsRequest(base=r.version(2), other=r.version(1)))


def test_bytes_without_a_row_go_once_they_were_seen_for_long_enough(
    r: Registry, server: RunningServer
) -> None:
    r.create()
    stray = server.data / "blobs" / "ab" / ("ab" * 16)
    stray.write_bytes(b"stray")

    assert collect(r).deleted_blobs == 0
    assert stray.exists()

    age(server)
    garbage = collect(r)

    assert (garbage.deleted_blobs, garbage.deleted_bytes) == (1, 5)
    assert not stray.exists()
    assert len(files(server.data)) == 2


def test_bytes_whose_row_came_late_stay(r: Registry, server: RunningServer) -> None:
    r.create(files={"own": OWN})
    (key,) = (
        name
        for name in files(server.data)
        if (server.data / "blobs" / name[:2] / name).read_bytes() == OWN
    )
    ask(server, "INSERT INTO condemned_blob (key, size, due_us) VALUES (?, 60, 0)", key)

    assert collect(r).deleted_blobs == 0

    assert download(r, r.version(1), "own") == [OWN]


def _no_undeleting(r: Registry) -> None:
    """Let what is deleted from now on be past its time at once."""
    request = namespace_service_pb2.UpdateNamespaceRequest(
        namespace=namespace_pb2.Namespace(name=r.name, undelete_period=Duration(nanos=1_000)),
        update_mask=FieldMask(paths=["undelete_period"]),
    )
    r.namespaces.UpdateNamespace(request, metadata=r.metadata)
