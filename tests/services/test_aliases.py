"""Aliases: pointers that move one at a time, with a history."""

from tests.services.wire import Registry, refused

from modelkeep.v1 import alias_pb2, version_service_pb2


def _changes(registry: Registry, alias: str = "") -> list[tuple[str, str]]:
    answer = registry.versions.ListAliasChanges(
        version_service_pb2.ListAliasChangesRequest(parent=registry.asset(), alias=alias)
    )
    return [
        (change.alias.rpartition("/")[2], change.version.rpartition("/")[2])
        for change in answer.alias_changes
    ]


def _listed(registry: Registry) -> list[alias_pb2.Alias]:
    return list(
        registry.versions.ListAliases(
            version_service_pb2.ListAliasesRequest(parent=registry.asset())
        ).aliases
    )


def test_an_alias_moves_from_version_to_version(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    registry.create()

    moved = registry.set_alias("champion", 2)

    assert moved.version == registry.version(2)
    assert moved.etag == "r2"
    assert list(registry.get(1).aliases) == []
    assert list(registry.get(2).aliases) == ["champion"]
    got = registry.versions.GetAlias(
        version_service_pb2.GetAliasRequest(name=registry.alias("champion"))
    )
    assert got == moved


def test_a_version_names_its_aliases_in_the_order_of_their_bytes(registry: Registry) -> None:
    made = registry.create(aliases=["b", "Z", "a"])

    assert list(made.aliases) == ["Z", "a", "b"]
    assert [alias.name for alias in _listed(registry)] == [
        registry.alias(name) for name in ("Z", "a", "b")
    ]


def test_an_alias_is_not_in_the_etag_of_its_version(registry: Registry) -> None:
    before = registry.create()
    registry.set_alias("champion", 1)
    after = registry.get(1)

    assert (after.etag, after.update_time) == (before.etag, before.update_time)


def test_an_alias_says_who_moved_it_last(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    registry.create()
    mine = _listed(registry)[0].updater

    moved = registry.as_user("someone").set_alias("champion", 2)

    assert moved.updater not in ("", mine)


def test_a_removed_alias_points_nowhere(registry: Registry) -> None:
    registry.create(aliases=["champion", "second"])

    removed = registry.remove_alias("champion")

    assert (removed.name, removed.version) == (registry.alias("champion"), "")
    assert list(registry.get(1).aliases) == ["second"]
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.get("@champion")
    assert [alias.name for alias in _listed(registry)] == [registry.alias("second")]


def test_an_alias_set_again_goes_on_counting(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    stale = registry.remove_alias("champion").etag

    again = registry.set_alias("champion", 1)

    assert again.etag not in ("r1", stale)


def test_an_alias_is_moved_only_by_who_knows_where_it_is(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    registry.create()
    first = registry.set_alias("champion", 2, etag="r1")

    with refused("ABORTED", "ETAG_MISMATCH") as refusal:
        registry.set_alias("champion", 1, etag="r1")

    assert refusal.metadata["actual"] == first.etag
    assert registry.get("@champion").number == 2


def test_every_move_is_kept(registry: Registry) -> None:
    registry.create(aliases=["a", "b"])
    registry.create(aliases=["a"])
    registry.remove_alias("b")
    registry.set_alias("b", 2)

    assert _changes(registry) == [("b", "2"), ("b", ""), ("a", "2"), ("b", "1"), ("a", "1")]
    assert _changes(registry, "b") == [("b", "2"), ("b", ""), ("b", "1")]
    assert _changes(registry, "nobody") == []


def test_a_move_names_its_event(registry: Registry) -> None:
    registry.create(aliases=["a"])
    registry.create()
    registry.set_alias("a", 2)
    answer = registry.versions.ListAliasChanges(
        version_service_pb2.ListAliasChangesRequest(parent=registry.asset())
    )
    event = registry.log()[-1]

    change = answer.alias_changes[0]
    assert (change.event, change.log_time) == (event.name, event.log_time)
    assert change.principal == event.record.principal


def test_a_deleted_version_gets_no_alias(registry: Registry) -> None:
    registry.create()
    registry.delete(1)

    with refused("FAILED_PRECONDITION", "VERSION_DELETED") as refusal:
        registry.set_alias("champion", 1)

    assert refusal.metadata == {"resource": registry.version(1)}
    assert _changes(registry) == []
