"""The log: one entry a write, in order, bound by hashes."""

import hashlib
from itertools import pairwise

from google.protobuf.field_mask_pb2 import FieldMask
from tests.raw import ask
from tests.running import RunningServer
from tests.services.wire import Registry, refused

from modelkeep.v1 import asset_pb2, asset_service_pb2, event_pb2, version_pb2
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep.v1 import version_service_pb2 as versions


def _busy(registry: Registry) -> None:
    """Do one of each."""
    registry.create(aliases=["champion"])
    registry.create(aliases=["production"])
    registry.set_alias("production", 1)
    registry.set_alias("champion", 2)
    registry.remove_alias("champion")
    registry.versions.UpdateVersion(
        versions.UpdateVersionRequest(
            version=version_pb2.Version(name=registry.version(2), description="d"),
            update_mask=FieldMask(paths=["description"]),
        )
    )
    registry.delete(2)
    registry.undelete(2)
    registry.delete(2)
    registry.versions.PurgeVersion(
        versions.PurgeVersionRequest(name=registry.version(2), reason="why")
    )
    registry.versions.RestoreVersion(versions.RestoreVersionRequest(name=registry.version(1)))
    registry.assets.UpdateAsset(
        asset_service_pb2.UpdateAssetRequest(
            asset=asset_pb2.Asset(name=registry.asset(), description="d"),
            update_mask=FieldMask(paths=["description"]),
        )
    )
    registry.create("other")
    registry.assets.DeleteAsset(asset_service_pb2.DeleteAssetRequest(name=registry.asset("other")))
    registry.assets.UndeleteAsset(
        asset_service_pb2.UndeleteAssetRequest(name=registry.asset("other"))
    )


ACTS = [
    "namespace.created",
    "version.created",
    "version.created",
    "alias.set",
    "alias.set",
    "alias.removed",
    "version.updated",
    "version.deleted",
    "version.undeleted",
    "version.deleted",
    "version.purged",
    "version.restored",
    "asset.updated",
    "version.created",
    "asset.deleted",
    "asset.undeleted",
]


def _everything(registry: Registry) -> list[event_pb2.Event]:
    found: list[event_pb2.Event] = []
    token = ""
    while True:
        page = registry.events.ListEvents(pb.ListEventsRequest(page_size=1000, page_token=token))
        found += page.events
        token = page.next_page_token
        if not token:
            return found[::-1]


def test_every_write_is_one_event(registry: Registry) -> None:
    _busy(registry)

    assert registry.acts() == ACTS


def test_positions_have_no_gaps_and_times_no_ties(registry: Registry) -> None:
    _busy(registry)
    events = _everything(registry)

    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event.name for event in events] == [f"events/{e.position}" for e in events]
    times = [event.log_time.ToMicroseconds() for event in events]
    assert all(before < after for before, after in pairwise(times))
    assert len({event.record.event_id for event in events}) == len(events)


def test_bodies_are_bound_by_the_hashes_of_the_leaf(registry: Registry) -> None:
    _busy(registry)

    for event in registry.log():
        assert len(event.bodies) == len(event.record.changes) > 0
        for change, body in zip(event.record.changes, event.bodies, strict=True):
            for hashed, any_body, salt in (
                (change.before_hash, body.before, body.before_salt),
                (change.after_hash, body.after, body.after_salt),
            ):
                if hashed:
                    assert len(salt) == 32
                    assert hashed == hashlib.sha256(salt + any_body.value).digest()
                else:
                    assert (salt, any_body.value) == (b"", b"")


def test_no_salt_is_used_twice(registry: Registry) -> None:
    _busy(registry)

    salts = [
        salt
        for event in registry.log()
        for body in event.bodies
        for salt in (body.before_salt, body.after_salt)
        if salt
    ]
    assert len(set(salts)) == len(salts)


def test_before_is_what_the_event_before_left(registry: Registry) -> None:
    _busy(registry)
    last: dict[str, tuple[int, bytes]] = {}

    for event in registry.log():
        for change, body in zip(event.record.changes, event.bodies, strict=True):
            revision, after = last.get(change.resource, (0, b""))
            assert body.before.value == after
            assert change.revision > revision
            last[change.resource] = (change.revision, body.after.value)

    for number in (1, 2, 3):
        revision, body_bytes = last[registry.version(number)]
        now = registry.get(number)
        assert now.etag == f"r{revision}"
        now.ClearField("aliases")
        assert version_pb2.Version.FromString(body_bytes) == now
    assert last[registry.alias("champion")][1] == b""


def test_the_stored_leaf_is_what_the_event_says(registry: Registry, shared: RunningServer) -> None:
    _busy(registry)
    rows = ask(
        shared, "SELECT position, event_id, log_us, leaf, leaf_hash FROM event ORDER BY position"
    )

    for event in registry.log():
        position, event_id, log_us, stored, leaf_hash = rows[event.position - 1]
        leaf = event_pb2.LogLeaf.FromString(stored)
        assert event_pb2.EventRecord.FromString(leaf.event) == event.record
        assert (position, event_id) == (event.position, event.record.event_id)
        assert leaf.position == event.position
        assert leaf.log_time == event.log_time
        assert log_us == event.log_time.ToMicroseconds()
        assert leaf_hash == hashlib.sha256(b"\0" + stored).digest()


def test_an_event_says_who_did_what_by_which_call(registry: Registry) -> None:
    registry.create(request_id="7d9e9e0e-2b1c-4d63-9d3a-0b6a6a3f7a10")
    event = registry.log()[-1]

    assert event.record.method == "modelkeep.v1.VersionService/CreateVersion"
    assert event.record.request_id == "7d9e9e0e-2b1c-4d63-9d3a-0b6a6a3f7a10"
    assert event.record.principal == registry.get(1).record.author
    assert b"tester" not in event.SerializeToString()
    assert event.record.act_time.ToMicroseconds() <= event.log_time.ToMicroseconds()


def test_events_are_listed_for_a_resource_and_what_lies_in_it(registry: Registry) -> None:
    _busy(registry)

    assert registry.acts(registry.asset("other")) == [
        "version.created",
        "asset.deleted",
        "asset.undeleted",
    ]
    assert registry.acts(registry.version(1)) == ["version.created", "alias.set"]
    assert registry.acts(registry.alias("champion")) == [
        "version.created",
        "alias.set",
        "alias.removed",
    ]
    assert registry.acts(f"{registry.name}x") == []
    assert registry.acts(registry.asset("chur")) == []


def test_an_event_is_got_by_its_position(registry: Registry) -> None:
    registry.create()
    event = registry.log()[-1]

    assert registry.events.GetEvent(pb.GetEventRequest(name=event.name)) == event


def test_a_refused_write_is_no_event(registry: Registry) -> None:
    registry.create()
    before = registry.log()
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.delete(9)
    with refused("ABORTED", "ETAG_MISMATCH"):
        registry.delete(1, etag="r9")

    assert registry.log() == before
