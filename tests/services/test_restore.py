"""Restoring: an older version's content and record, as the newest."""

from tests.running import RunningServer
from tests.services.footprint import footprint, nothing_left
from tests.services.test_versions import RECIPE
from tests.services.wire import Registry, refused

from modelkeep.digests import record_digest
from modelkeep.v1 import version_pb2, version_service_pb2


def _restore(registry: Registry, number: int, note: str = "") -> version_pb2.Version:
    return registry.versions.RestoreVersion(
        version_service_pb2.RestoreVersionRequest(name=registry.version(number), change_note=note),
        metadata=registry.metadata,
    )


def test_a_restored_version_has_the_content_and_record_of_the_old(registry: Registry) -> None:
    base = registry.create("base")
    old = registry.create(
        recipe=RECIPE,
        metrics={"auc": 0.9},
        description="good",
        labels={"a": "1"},
        inputs=[{"version": base.name}],
        flavor={"name": "onnx"},
    )
    registry.create()
    new = _restore(registry.as_user("someone"), 1)

    assert new.number == 3
    assert new.record.restored_from == old.name
    assert new.record.change_note == "Restores version 1"
    assert new.record.author != old.record.author
    assert new.record_digest == record_digest(new.record)
    assert (new.description, new.labels) == (old.description, old.labels)
    same = version_pb2.VersionRecord()
    same.CopyFrom(new.record)
    for name in ("author", "create_time", "change_note"):
        same.ClearField(name)
        old.record.ClearField(name)
    same.ClearField("restored_from")
    assert same == old.record
    recipe = registry.versions.GetRecipe(version_service_pb2.GetRecipeRequest(name=new.name))
    assert recipe == RECIPE


def test_restoring_moves_no_bytes(registry: Registry, shared: RunningServer) -> None:
    registry.create()
    before = footprint(shared)["files"]
    _restore(registry, 1)

    assert footprint(shared)["files"] == before


def test_a_restored_version_says_why(registry: Registry) -> None:
    registry.create()

    assert _restore(registry, 1, "v2 drifted").record.change_note == "v2 drifted"


def test_a_deleted_version_is_not_restored(registry: Registry, shared: RunningServer) -> None:
    registry.create()
    registry.delete(1)

    with nothing_left(shared), refused("FAILED_PRECONDITION", "VERSION_DELETED"):
        _restore(registry, 1)


def test_a_restored_version_holds_the_inputs_of_the_old(registry: Registry) -> None:
    base = registry.create("base")
    registry.create("tuned", inputs=[{"version": base.name}])
    registry.versions.RestoreVersion(
        version_service_pb2.RestoreVersionRequest(name=registry.version(1, "tuned"))
    )
    registry.delete(1, "tuned")

    with refused("FAILED_PRECONDITION", "VERSION_HELD") as refusal:
        registry.delete(1, "base")
    assert refusal.metadata["holders"] == registry.version(2, "tuned")
