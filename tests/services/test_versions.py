"""Versions: made whole or not at all, numbered without gaps, never changed."""

import uuid

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, digest, manifest, refused

from modelkeep.digests import recipe_digest, record_digest
from modelkeep.v1 import asset_pb2, recipe_pb2, version_pb2, version_service_pb2

RECIPE = recipe_pb2.Recipe(
    code=recipe_pb2.CodeRevision(revision="abc", remote="git@host:repo", dirty=True),
    environment=recipe_pb2.Environment(
        packages=[recipe_pb2.Package(name="numpy", version="2.1", hashes=["sha256:00"])]
    ),
    command=["python", "train.py"],
    seed=0,
)
RECIPE.parameters.update({"depth": 3, "nested": {"rate": 0.1}})


def test_a_version_has_all_that_was_said_of_it(registry: Registry) -> None:
    data = registry.create("data", kind=asset_pb2.ASSET_KIND_DATASET)
    files = {"model.bin": b"12345", "config/a.json": b"{}"}
    parameters = {
        "text": version_pb2.ParameterValue(string_value="1"),
        "int": version_pb2.ParameterValue(int_value=-(2**63)),
        "double": version_pb2.ParameterValue(double_value=1.0),
        "bool": version_pb2.ParameterValue(bool_value=False),
    }
    signature = version_pb2.Signature(
        inputs=[version_pb2.Field(dtype="float32", shape=[-1, 3])],
        outputs=[version_pb2.Field(name="y", dtype="int64", optional=True)],
    )
    flavor = version_pb2.Flavor(name="sklearn", version="1.7", options={"file": "model.bin"})

    made = registry.create(
        files=files,
        recipe=RECIPE,
        description="what it is",
        labels={"team": "fraud"},
        parameters=parameters,
        metrics={"auc": 0.93},
        inputs=[{"version": data.name}, {"uri": "s3://b/k", "digest": digest(b"k")}],
        flavor=flavor,
        signature=signature,
        change_note="why",
    )

    record = made.record
    assert (made.name, made.number) == (registry.version(1), 1)
    assert record.digest == digest(manifest(files))
    assert (record.file_count, record.size) == (2, 7)
    assert dict(record.parameters) == parameters
    assert dict(record.metrics) == {"auc": 0.93}
    assert (record.flavor, record.signature, record.change_note) == (flavor, signature, "why")
    assert [(i.version, i.uri, i.digest, i.role) for i in record.inputs] == [
        (data.name, "", data.record.digest, version_pb2.INPUT_ROLE_TRAINED_ON),
        ("", "s3://b/k", digest(b"k"), version_pb2.INPUT_ROLE_USES),
    ]
    assert (made.description, dict(made.labels)) == ("what it is", {"team": "fraud"})
    assert made.stage == version_pb2.STAGE_DEVELOPMENT
    assert record.recipe_digest == recipe_digest(RECIPE)
    assert made.record_digest == record_digest(record)
    assert registry.get(1) == made
    recipe = registry.versions.GetRecipe(version_service_pb2.GetRecipeRequest(name=made.name))
    assert recipe == RECIPE


def test_the_author_is_the_caller_whatever_the_request_says(registry: Registry) -> None:
    someone = registry.as_user("someone")

    made = someone.create(
        author="principals/boss", restored_from=registry.version(9), size=1, file_count=77
    )

    assert made.record.author not in ("", "principals/boss")
    assert made.record.author != registry.create().record.author
    assert (made.record.restored_from, made.record.size, made.record.file_count) == ("", 16, 1)


def test_numbers_have_no_gaps_whatever_is_refused(registry: Registry) -> None:
    registry.create()
    for _ in range(3):
        with refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED"):
            registry.create(files=digest(b"nothing"))
        with refused("INVALID_ARGUMENT", "ALIAS_INVALID"):
            registry.create(aliases=["7"])
        with refused("ALREADY_EXISTS", "NAME_TAKEN"):
            registry.create(aliases=["a", "A"])

    assert [registry.create().number for _ in range(3)] == [2, 3, 4]
    assert registry.numbers() == [4, 3, 2, 1]


def test_a_number_is_not_used_again(registry: Registry) -> None:
    registry.create()
    registry.create()
    registry.delete(2)

    assert registry.get("latest").number == 1
    assert registry.create().number == 3


def test_the_same_content_is_a_new_version_unless_that_is_not_wanted(registry: Registry) -> None:
    sealed = registry.create().record.digest
    again = registry.create(files=sealed)

    same = registry.create(files=sealed, if_changed=True, aliases=["champion"])

    assert (again.number, same.number) == (2, 2)
    assert list(same.aliases) == ["champion"]
    assert registry.acts()[-1] == "alias.set"
    other = registry.create().record.digest
    assert registry.create(files=sealed, if_changed=True).number == 4
    registry.delete(4)
    assert registry.create(files=other, if_changed=True).number == 3


def test_nothing_changed_is_no_event(registry: Registry, shared: RunningServer) -> None:
    sealed = registry.create(aliases=["champion"]).record.digest

    with nothing_left(shared):
        registry.create(files=sealed, if_changed=True)
        registry.set_alias("champion", 1)
        registry.undelete(1)
        registry.versions.UpdateVersion(
            version_service_pb2.UpdateVersionRequest(
                version=version_pb2.Version(name=registry.version(1)),
                update_mask=FieldMask(paths=["labels"]),
            )
        )


def test_a_version_is_found_in_each_way(registry: Registry) -> None:
    first = registry.create(aliases=["champion", "production"])
    second = registry.create(files=first.record.digest)

    def numbers(*selectors: str) -> list[int]:
        return [registry.get(selector).number for selector in selectors]

    assert numbers("1", "@champion", "@production") == [1, 1, 1]
    assert numbers("latest", "@latest", "@development", first.record.digest) == [2, 2, 2, 2]
    registry.delete(2)
    assert numbers("latest", "@latest", first.record.digest, "2") == [1, 1, 1, 2]
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.get("@development")
    assert second.number == 2


def test_only_what_may_change_changes(registry: Registry) -> None:
    before = registry.create(metrics={"auc": 0.5}, labels={"a": "1"}, description="old")
    wanted = version_pb2.Version()
    wanted.CopyFrom(before)
    wanted.display_name = "Churn"
    wanted.description = "new"
    wanted.record.metrics["auc"] = 0.9
    wanted.labels.clear()
    wanted.labels["b"] = "2"

    after = registry.versions.UpdateVersion(
        version_service_pb2.UpdateVersionRequest(
            version=wanted, update_mask=FieldMask(paths=["description", "labels"])
        )
    )

    assert after.record == before.record
    assert after.record_digest == before.record_digest
    assert (after.display_name, after.description, dict(after.labels)) == ("", "new", {"b": "2"})
    assert (before.etag, after.etag) == ("r1", "r2")
    assert registry.get(1) == after


def test_a_field_that_is_masked_and_empty_is_cleared(registry: Registry) -> None:
    registry.create(labels={"a": "1"}, description="old")

    registry.versions.UpdateVersion(
        version_service_pb2.UpdateVersionRequest(
            version=version_pb2.Version(name=registry.version(1)),
            update_mask=FieldMask(paths=["labels"]),
        )
    )

    assert (dict(registry.get(1).labels), registry.get(1).description) == ({}, "old")


def test_an_asset_counts_its_versions(registry: Registry) -> None:
    for size in (10, 20, 30):
        registry.create(files={"f": uuid.uuid4().bytes * size})
    registry.delete(3)
    asset = registry.get_asset()

    assert (asset.latest_number, asset.version_count, asset.size) == (2, 2, 960)
    assert asset.etag == "r1"
    registry.undelete(3)
    assert registry.get_asset().latest_number == 3


def test_files_are_listed_by_the_bytes_of_their_paths(registry: Registry) -> None:
    files = {"b/c": b"1", "b-c": b"22", "b.c": b"333", "b/d/e": b"", "é": b"1", "bb": b"1"}
    registry.create(files=files)

    def listed(prefix: str = "") -> list[tuple[str, str, int]]:
        answer = registry.versions.ListFiles(
            version_service_pb2.ListFilesRequest(
                parent=registry.version("latest"), path_prefix=prefix
            )
        )
        return [(file.path, file.digest, file.size) for file in answer.files]

    ordered = sorted(files, key=str.encode)
    assert listed() == [(path, digest(files[path]), len(files[path])) for path in ordered]
    assert [path for path, *_ in listed("b")] == ["b/c", "b/d/e"]
    assert [path for path, *_ in listed("b/d")] == ["b/d/e"]
    assert [path for path, *_ in listed("b/c")] == ["b/c"]
    assert listed("nothing") == []


@pytest.mark.parametrize("stage", [version_pb2.STAGE_DEVELOPMENT, version_pb2.STAGE_PRODUCTION])
def test_versions_are_listed_by_stage(registry: Registry, stage: int) -> None:
    for _ in range(3):
        registry.create()
    registry.set_alias("production", 2)
    registry.delete(1)

    expected = {version_pb2.STAGE_DEVELOPMENT: [3], version_pb2.STAGE_PRODUCTION: [2]}
    assert registry.numbers(stage=stage) == expected[version_pb2.Stage.ValueType(stage)]
    assert registry.numbers(show_deleted=True) == [3, 2, 1]


def test_an_input_holds_its_version_and_keeps_its_role(registry: Registry) -> None:
    base = registry.create("base")
    registry.create(
        "tuned",
        inputs=[{"version": base.name, "role": version_pb2.INPUT_ROLE_FINE_TUNED_FROM}],
    )

    with refused("FAILED_PRECONDITION", "VERSION_HELD") as refusal:
        registry.delete(1, "base")

    assert refusal.metadata["holders"] == registry.version(1, "tuned")
    registry.delete(1, "tuned")
    assert registry.delete(1, "base").HasField("delete_time")
    with refused("FAILED_PRECONDITION", "VERSION_DELETED") as deleted:
        registry.undelete(1, "tuned")
    assert deleted.metadata["resource"] == base.name


def test_a_deleted_version_is_no_input(registry: Registry, shared: RunningServer) -> None:
    registry.create("base")
    registry.delete(1, "base")
    sealed = registry.seal({"f": b"tuned"})

    with nothing_left(shared), refused("FAILED_PRECONDITION", "VERSION_DELETED") as refusal:
        registry.create("tuned", sealed, inputs=[{"version": registry.version(1, "base")}])

    assert refusal.fields == ["version.record.inputs[0].version"]


def test_an_input_with_another_digest_is_not_found(
    registry: Registry, shared: RunningServer
) -> None:
    base = registry.create("base")
    sealed = registry.seal({"f": b"tuned"})

    with nothing_left(shared), refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.create("tuned", sealed, inputs=[{"version": base.name, "digest": digest(b"x")}])


def test_a_version_carries_its_event(registry: Registry) -> None:
    request = version_service_pb2.CreateVersionRequest(
        parent=registry.asset(),
        version=version_pb2.Version(
            record=version_pb2.VersionRecord(digest=registry.seal({"f": b"event"}))
        ),
        create_asset=True,
    )

    _, call = registry.versions.CreateVersion.with_call(request, metadata=registry.metadata)

    said = dict(call.trailing_metadata())["modelkeep-event-id"]
    event = registry.log()[-1]
    assert event.record.event_id == said
    assert [change.resource for change in event.record.changes] == [
        registry.asset(),
        registry.version(1),
    ]
