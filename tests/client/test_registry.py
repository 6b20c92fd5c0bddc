"""Looking things up and changing what may change."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.client.conftest import Folder

import modelkeep
from modelkeep import Client, Reference, Version
from modelkeep.names import AssetName, VersionName, VersionSelector


@pytest.fixture
def one(registry: Client, folder: Folder) -> Version:
    return registry.push(
        "churn",
        folder("one", {"m": b"1", "same": b"s"}),
        params={"depth": 6, "gone": True},
        metrics={"auc": 0.9},
        labels={"team": "fraud"},
        aliases=["champion"],
    )


@pytest.fixture
def two(registry: Client, folder: Folder, one: Version) -> Version:
    return registry.push(
        "churn",
        folder("two", {"m": b"2", "same": b"s", "new": b"n"}),
        params={"depth": 7},
        metrics={"auc": 0.91},
    )


@pytest.mark.parametrize(
    "ref",
    [
        "churn:1",
        "default/churn@champion",
        "modelkeep://churn@champion",
        "churn:1/m",
        Reference("default", "churn", 1),
        VersionName("default", "churn", 1),
        VersionSelector("default", "churn", alias="champion"),
        "namespaces/default/assets/churn/versions/1",
        "namespaces/default/assets/churn/versions/@champion",
    ],
    ids=str,
)
def test_a_version_is_named_in_many_ways(registry: Client, one: Version, ref: str) -> None:
    assert registry.version(ref) == one
    assert registry.version(one) == one


def test_a_version_is_found_by_its_digest(registry: Client, one: Version) -> None:
    name = f"namespaces/default/assets/churn/versions/{one.digest}"

    assert registry.version(name) == one


@pytest.mark.parametrize(
    "asset",
    ["churn", "default/churn", AssetName("default", "churn"), "namespaces/default/assets/churn"],
)
def test_an_asset_is_named_in_many_ways(registry: Client, two: Version, asset: str) -> None:
    found = registry.asset(asset)

    assert found.reference == "default/churn"
    assert (found.latest_number, found.version_count) == (2, 2)
    assert registry.asset(found) == found
    assert [version.number for version in registry.versions(found)] == [2, 1]


def test_lists_fetch_pages_as_they_go(registry: Client, folder: Folder) -> None:
    out = folder("out", {"m": b"1"})
    for _ in range(105):
        registry.push("churn", out, recipe=None)

    versions = registry.versions("churn")

    assert next(versions).number == 105
    assert [version.number for version in versions] == list(range(104, 0, -1))


def test_versions_can_be_those_of_a_stage(registry: Client, two: Version) -> None:
    registry.set_alias(two, "production")

    assert [version.number for version in registry.versions("churn", stage="production")] == [2]
    assert [version.number for version in registry.versions("churn", stage="development")] == [1]
    with pytest.raises(modelkeep.InvalidArgumentError):
        registry.versions("churn", stage="live")


def test_a_diff_tells_what_differs(registry: Client, one: Version, two: Version) -> None:
    diff = registry.diff(one, two)

    assert (diff.base, diff.other) == (one.name, two.name)
    assert [(change.key, change.before, change.after) for change in diff.params] == [
        ("depth", 6, 7),
        ("gone", True, None),
    ]
    assert [(change.key, change.before, change.after) for change in diff.metrics] == [
        ("auc", 0.9, 0.91)
    ]
    assert [(change.key, change.before, change.after) for change in diff.labels] == [
        ("team", "fraud", None)
    ]
    assert "parameters.depth" in {change.key for change in diff.recipe}
    assert [(change.path, change.before is None) for change in diff.files] == [
        ("m", False),
        ("new", True),
    ]
    assert diff
    assert not diff.recipe_cut
    assert not registry.diff(one, one)
    assert diff.to_dict()["files"][1]["after"]["size"] == 1


def test_a_diff_of_many_files_has_all_pages(registry: Client, folder: Folder) -> None:
    registry.push("churn", folder("one", {f"{i:04}": b"1" for i in range(1100)}))
    registry.push("churn", folder("two", {f"{i:04}": b"2" for i in range(1100)}))

    diff = registry.diff("churn:1", "churn:2")

    assert [change.path for change in diff.files] == [f"{i:04}" for i in range(1100)]


def test_a_restored_version_is_a_new_one(registry: Client, one: Version, two: Version) -> None:
    restored = registry.restore("churn@champion", note="back")

    assert restored.number == 3
    assert restored.digest == one.digest
    assert restored.restored_from == one.name
    assert restored.change_note == "back"


def test_an_update_changes_what_it_names_and_keeps_the_rest(registry: Client, one: Version) -> None:
    registry.update(one, labels={"a": "1", "b": "2"}, description="what it is")
    changed = registry.update("churn@champion", labels={"b": "3"}, remove_labels=["a", "nothing"])

    assert changed.labels == {"b": "3", "team": "fraud"}
    assert changed.description == "what it is"
    assert registry.update(one, description="").description == ""
    assert registry.update_asset("churn", labels={"x": "y"}, display_name="Churn").labels == {
        "x": "y"
    }


def test_updates_at_the_same_time_are_all_kept(registry: Client, one: Version) -> None:
    threads = [
        threading.Thread(target=registry.update, args=(one,), kwargs={"labels": {f"k{i}": "v"}})
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(registry.version(one).labels) == {"team", *(f"k{i}" for i in range(8))}


def test_aliases_move_and_their_moves_are_kept(
    registry: Client, one: Version, two: Version
) -> None:
    before = registry.alias("churn@champion")
    moved = registry.set_alias("churn@latest", "champion", etag=before.etag)

    assert (before.version, moved.version) == (one.name, two.name)
    with pytest.raises(modelkeep.AbortedError) as refused:
        registry.set_alias(one, "champion", etag=before.etag)
    assert refused.value.reason == "ETAG_MISMATCH"
    with pytest.raises(modelkeep.AbortedError):
        registry.set_alias(one, "champion", etag="-")
    assert [alias.name.rpartition("/")[2] for alias in registry.aliases("churn")] == ["champion"]
    removed = registry.remove_alias("churn@champion", etag=moved.etag)
    assert removed.version == ""
    changes = list(registry.alias_changes("churn", alias="champion"))
    assert [change.version for change in changes] == ["", two.name, one.name]


@pytest.mark.parametrize("name", ["7", "latest", "a/b", "staging", ""])
def test_what_cannot_be_an_alias_is_refused(registry: Client, one: Version, name: str) -> None:
    with pytest.raises(modelkeep.InvalidArgumentError):
        registry.set_alias(one, name)


def test_as_of_a_time_an_alias_is_what_it_was(registry: Client, one: Version, two: Version) -> None:
    then = datetime.now(UTC)
    registry.set_alias(two, "champion")

    assert registry.version("churn@champion").number == 2
    zulu = then.replace(tzinfo=None).isoformat() + "Z"
    for at in (then, then.isoformat(), then.astimezone(), zulu):
        assert registry.version("churn@champion", at=at).number == 1
    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        registry.version("churn", at=datetime.now(UTC) + timedelta(days=1))
    assert refused.value.reason == "TIME_IN_FUTURE"
    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        registry.version("churn", at="yesterday")
    assert refused.value.reason == "FIELD_INVALID"


def test_deleting_names_the_number(registry: Client, one: Version, two: Version) -> None:
    for ref in ("churn", "churn@latest", "churn@champion", "churn:2/m"):
        for act in (registry.delete, registry.undelete):
            with pytest.raises(modelkeep.InvalidArgumentError) as refused:
                act(ref)
            assert refused.value.reason == "REFERENCE_INVALID"

    deleted = registry.delete("churn:2")
    assert deleted.delete_time is not None
    assert [version.number for version in registry.versions("churn")] == [1]
    assert len(list(registry.versions("churn", show_deleted=True))) == 2
    assert registry.undelete(deleted).delete_time is None
    registry.delete(two)
    assert registry.purge("churn:2", reason="a test").purged


def test_what_is_held_is_not_deleted(registry: Client, one: Version) -> None:
    with pytest.raises(modelkeep.FailedPreconditionError) as refused:
        registry.delete(one)

    assert refused.value.reason == "VERSION_HELD"
    assert "champion" in refused.value.metadata["holders"]


def test_an_asset_is_made_deleted_and_undeleted(registry: Client) -> None:
    made = registry.create_asset("data", kind="dataset", labels={"a": "b"}, description="d")

    assert (made.kind, made.labels, made.version_count) == ("dataset", {"a": "b"}, 0)
    assert registry.delete_asset("data").delete_time is not None
    assert list(registry.assets()) == []
    assert len(list(registry.assets(show_deleted=True))) == 1
    assert registry.undelete_asset(made).delete_time is None


def test_assets_are_listed_by_namespace_and_kind(registry: Client) -> None:
    registry.create_namespace("fraud")
    registry.create_asset("a")
    registry.create_asset("fraud/b", kind="dataset")

    def listed(*args: str, kind: str = "") -> list[str]:
        return [asset.reference for asset in registry.assets(*args, kind=kind)]

    assert listed() == ["default/a", "fraud/b"]
    assert listed("fraud") == listed("fraud/") == listed("namespaces/fraud") == ["fraud/b"]
    assert listed(kind="dataset") == ["fraud/b"]
    with pytest.raises(modelkeep.NotFoundError):
        listed("nothing")


def test_namespaces_are_made_and_changed(registry: Client) -> None:
    made = registry.create_namespace(
        "fraud", display_name="Fraud", labels={"a": "1"}, undelete_period=timedelta(days=3)
    )

    assert made.undelete_period == timedelta(days=3)
    assert made.to_dict()["undelete_period"] == "259200s"
    assert registry.namespace("default").undelete_period == timedelta(days=30)
    changed = registry.update_namespace(
        made, labels={"b": "2"}, remove_labels=["a"], undelete_period=timedelta(0)
    )
    assert changed.labels == {"b": "2"}
    assert changed.undelete_period == timedelta(0)
    assert changed.display_name == "Fraud"
    assert [one.name for one in registry.namespaces()] == [
        "namespaces/default",
        "namespaces/fraud",
    ]
    with pytest.raises(modelkeep.AlreadyExistsError) as refused:
        registry.create_namespace("Fraud")
    assert refused.value.reason == "NAME_TAKEN"


def test_the_server_and_the_caller_say_who_they_are(registry: Client, one: Version) -> None:
    info = registry.server_info()

    assert info.open
    assert info.limits["max_labels"] == 64
    assert registry.principal().display_name == "unverified:ada"
    assert registry.principal(one.author) == registry.principal()


Look = Callable[[Client], object]


@pytest.mark.parametrize(
    "look",
    [
        lambda registry: registry.version("no/churn"),
        lambda registry: registry.version("nothing"),
        lambda registry: registry.version("churn:9"),
        lambda registry: registry.version("churn@nothing"),
        lambda registry: registry.recipe("churn:9"),
        lambda registry: registry.manifest("churn:9"),
        lambda registry: registry.alias("churn@nothing"),
        lambda registry: registry.asset("nothing"),
        lambda registry: registry.namespace("nothing"),
        lambda registry: next(registry.versions("nothing")),
        lambda registry: next(registry.files("churn:9")),
        lambda registry: registry.principal("principals/nobody"),
    ],
)
def test_what_is_not_there_is_not_found(registry: Client, one: Version, look: Look) -> None:
    with pytest.raises(modelkeep.NotFoundError) as refused:
        look(registry)

    assert refused.value.reason == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize(
    "look",
    [
        lambda registry: registry.version(""),
        lambda registry: registry.version("a b"),
        lambda registry: registry.version("churn:0"),
        lambda registry: registry.version("churn:007"),
        lambda registry: registry.version("../churn"),
        lambda registry: registry.version("churn\u202e"),
        lambda registry: registry.version("churn:1/../x"),
        lambda registry: registry.version("\udcff"),
        lambda registry: registry.version("x" * 300),
        lambda registry: registry.version("namespaces/a/assets/b/versions/x"),
        lambda registry: registry.alias("churn:1"),
        lambda registry: registry.alias("churn"),
        lambda registry: registry.alias("churn@latest"),
        lambda registry: registry.asset("churn@latest"),
        lambda registry: registry.namespace("a/b"),
        lambda registry: registry.manifest("churn:1/m"),
    ],
)
def test_what_is_no_name_is_refused_before_it_is_sent(registry: Client, look: Look) -> None:
    with pytest.raises(modelkeep.InvalidArgumentError):
        look(registry)


def test_a_recipe_is_kept_or_not(registry: Client, folder: Folder) -> None:
    out = folder("out", {"m": b"1"})
    recipe = modelkeep.Recipe(
        code=modelkeep.CodeRevision("abc", "https://example.com/x.git", "main", True),
        environment=modelkeep.Environment(
            "Linux", "CPython 3.12.4", (modelkeep.Package("numpy", "2.0", ("sha256:00",)),)
        ),
        hardware=modelkeep.Hardware("x86_64", 8, 1 << 36, ("H100",)),
        command=("python", "train.py"),
        seed=0,
        parameters={"a": {"b": [1, 2.5, None, True, "x"]}},
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
        end_time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    )

    assert registry.recipe(registry.push("churn", out, recipe=recipe)) == recipe
    without = registry.push("churn", out, recipe=None)
    assert without.recipe_digest == ""
    assert registry.recipe(without) is None
    found = registry.recipe(registry.push("churn", out, params={"seed": 7}))
    assert found is not None
    assert found.seed == 7
    assert found.parameters == {"seed": 7}
