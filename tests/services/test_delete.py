"""Deleting, undeleting and purging: nothing is lost by mistake, no name is used again."""

import time

from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, download, refused

from modelkeep.v1 import (
    asset_pb2,
    asset_service_pb2,
    namespace_service_pb2,
    version_pb2,
    version_service_pb2,
)

DAY = 24 * 3600


def _purge(registry: Registry, number: int, reason: str = "asked to") -> version_pb2.Version:
    return registry.versions.PurgeVersion(
        version_service_pb2.PurgeVersionRequest(name=registry.version(number), reason=reason)
    )


def _delete_asset(registry: Registry, asset: str = "churn") -> asset_pb2.Asset:
    return registry.assets.DeleteAsset(
        asset_service_pb2.DeleteAssetRequest(name=registry.asset(asset))
    )


def _undelete_asset(registry: Registry, asset: str = "churn") -> asset_pb2.Asset:
    return registry.assets.UndeleteAsset(
        asset_service_pb2.UndeleteAssetRequest(name=registry.asset(asset))
    )


def _listed(registry: Registry, show_deleted: bool = False) -> list[str]:
    answer = registry.assets.ListAssets(
        asset_service_pb2.ListAssetsRequest(parent=registry.name, show_deleted=show_deleted)
    )
    return [asset.name for asset in answer.assets]


def _short_lived(registry: Registry) -> Registry:
    """Give a namespace where nothing can be undeleted."""
    name = registry.make_namespace(undelete_period={"seconds": 0})
    return Registry(registry.channel, name.removeprefix("namespaces/"))


def test_a_deleted_version_is_hidden_and_has_a_last_day(registry: Registry) -> None:
    registry.create()
    deleted = registry.delete(1)

    kept = deleted.purge_time.seconds - deleted.delete_time.seconds
    assert kept == 30 * DAY
    assert registry.get(1) == deleted
    assert registry.numbers() == []
    assert registry.numbers(show_deleted=True) == [1]
    with refused("FAILED_PRECONDITION", "VERSION_DELETED"):
        download(registry, registry.version(1), "model.bin")


def test_an_undeleted_version_is_as_before(registry: Registry) -> None:
    before = registry.create(files={"f": b"kept"}, description="kept")
    registry.delete(1)
    after = registry.undelete(1)

    before.etag = after.etag
    assert after == before
    assert download(registry, registry.version(1), "f") == [b"kept"]


def test_deleting_twice_is_deleting_once(registry: Registry, shared: RunningServer) -> None:
    registry.create()
    first = registry.delete(1)

    with nothing_left(shared):
        assert registry.delete(1) == first


def test_a_version_with_an_alias_is_not_deleted(registry: Registry) -> None:
    registry.create(aliases=["a", "b"])

    with refused("FAILED_PRECONDITION", "VERSION_HELD") as refusal:
        registry.delete(1)

    assert sorted(refusal.metadata["holders"].split(",")) == [
        registry.alias("a"),
        registry.alias("b"),
    ]
    assert refusal.metadata["count"] == "2"


def test_at_most_twenty_holders_are_named(registry: Registry) -> None:
    registry.create(aliases=[f"a{n}" for n in range(30)])

    with refused("FAILED_PRECONDITION", "VERSION_HELD") as refusal:
        registry.delete(1)

    assert len(refusal.metadata["holders"].split(",")) == 20
    assert int(refusal.metadata["count"]) > 20


def test_a_version_past_its_time_is_not_undeleted(registry: Registry) -> None:
    registry = _short_lived(registry)
    registry.create()
    registry.delete(1)
    time.sleep(0.001)

    with refused("FAILED_PRECONDITION", "UNDELETE_EXPIRED") as refusal:
        registry.undelete(1)

    assert set(refusal.metadata) == {"resource", "purge_time"}


def test_a_purged_version_keeps_its_record(registry: Registry) -> None:
    made = registry.create(metrics={"auc": 0.9})
    registry.delete(1)
    purged = _purge(registry, 1, "personal data")

    assert purged.purged
    assert (purged.record, purged.record_digest) == (made.record, made.record_digest)
    assert registry.get_asset().size == 0
    assert registry.log()[-1].reason == "personal data"
    with refused("FAILED_PRECONDITION", "UNDELETE_EXPIRED"):
        registry.undelete(1)


def test_only_what_is_deleted_is_purged(registry: Registry, shared: RunningServer) -> None:
    registry.create()

    with nothing_left(shared), refused("FAILED_PRECONDITION", "VERSION_NOT_DELETED"):
        _purge(registry, 1)
    registry.delete(1)
    with nothing_left(shared), refused("INVALID_ARGUMENT", "FIELD_REQUIRED", "reason"):
        _purge(registry, 1, "")


def test_a_deleted_asset_hides_its_versions(registry: Registry) -> None:
    registry.create()
    registry.create("other")
    deleted = _delete_asset(registry)

    assert deleted.HasField("delete_time")
    assert _listed(registry) == [registry.asset("other")]
    assert _listed(registry, show_deleted=True) == [registry.asset(), registry.asset("other")]
    assert registry.get_asset() == deleted
    for call in (
        lambda: registry.get(1),
        lambda: registry.get("latest"),
        registry.numbers,
        registry.create,
        lambda: registry.delete(1),
        lambda: registry.set_alias("a", 1),
    ):
        with refused("FAILED_PRECONDITION", "ASSET_DELETED") as refusal:
            call()
        assert refusal.metadata == {"resource": registry.asset()}


def test_deleting_an_asset_changes_its_own_row_only(registry: Registry) -> None:
    registry.create()
    before = registry.get(1)
    _delete_asset(registry)

    assert [change.resource for change in registry.log()[-1].record.changes] == [registry.asset()]
    _undelete_asset(registry)
    assert registry.get(1) == before
    assert registry.create().number == 2


def test_an_asset_that_others_were_made_from_is_not_deleted(registry: Registry) -> None:
    base = registry.create("base")
    registry.create("base", inputs=[{"version": base.name}])
    registry.create("tuned", inputs=[{"version": base.name}])

    with refused("FAILED_PRECONDITION", "VERSION_HELD") as refusal:
        _delete_asset(registry, "base")

    assert refusal.metadata["holders"] == registry.version(1, "tuned")
    registry.delete(1, "tuned")
    assert _delete_asset(registry, "base").HasField("delete_time")


def test_an_asset_past_its_time_is_not_undeleted(registry: Registry) -> None:
    registry = _short_lived(registry)
    registry.create()
    _delete_asset(registry)
    time.sleep(0.001)

    with refused("FAILED_PRECONDITION", "UNDELETE_EXPIRED"):
        _undelete_asset(registry)


def test_an_asset_is_not_undeleted_while_its_inputs_are_deleted(registry: Registry) -> None:
    base = registry.create("base")
    registry.create("tuned", inputs=[{"version": base.name}])
    _delete_asset(registry, "tuned")
    registry.delete(1, "base")

    with refused("FAILED_PRECONDITION", "VERSION_DELETED") as refusal:
        _undelete_asset(registry, "tuned")

    assert refusal.metadata == {"resource": base.name}
    registry.undelete(1, "base")
    assert not _undelete_asset(registry, "tuned").HasField("delete_time")


def test_the_time_for_undeleting_is_the_namespaces(registry: Registry) -> None:
    name = registry.make_namespace(undelete_period={"seconds": 5 * DAY})
    registry = Registry(registry.channel, name.removeprefix("namespaces/"))
    registry.create()
    deleted = registry.delete(1)
    namespace = registry.namespaces.GetNamespace(
        namespace_service_pb2.GetNamespaceRequest(name=name)
    )

    assert namespace.undelete_period.seconds == 5 * DAY
    assert deleted.purge_time.seconds - deleted.delete_time.seconds == 5 * DAY
