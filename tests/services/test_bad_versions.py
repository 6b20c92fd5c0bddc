"""What the server says of records, states and repeats that can't be."""

import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, digest, refused

from modelkeep.v1 import (
    asset_pb2,
    asset_service_pb2,
    namespace_pb2,
    namespace_service_pb2,
    recipe_pb2,
    version_pb2,
    version_service_pb2,
)

RECORD = "version.record"
Fields = Callable[[Registry], dict[str, Any]]


def _text(value: str) -> version_pb2.ParameterValue:
    return version_pb2.ParameterValue(string_value=value)


BAD: dict[str, tuple[Fields, str, str]] = {
    "NaN as a metric": (
        lambda r: {"metrics": {"auc": math.nan}},
        "METRIC_NOT_FINITE",
        f"{RECORD}.metrics[auc]",
    ),
    "infinity as a metric": (
        lambda r: {"metrics": {"fine": 1.0, "loss": math.inf}},
        "METRIC_NOT_FINITE",
        f"{RECORD}.metrics[loss]",
    ),
    "NaN as a parameter": (
        lambda r: {"parameters": {"p": version_pb2.ParameterValue(double_value=-math.inf)}},
        "METRIC_NOT_FINITE",
        f"{RECORD}.parameters[p].double_value",
    ),
    "a parameter without a value": (
        lambda r: {"parameters": {"p": version_pb2.ParameterValue()}},
        "FIELD_REQUIRED",
        f"{RECORD}.parameters[p].string_value",
    ),
    "too many labels": (
        lambda r: {"labels": {f"l{n}": "" for n in range(65)}},
        "TOO_MANY_ITEMS",
        "version.labels",
    ),
    "too many metrics": (
        lambda r: {"metrics": {f"m{n}": 0.0 for n in range(257)}},
        "TOO_MANY_ITEMS",
        f"{RECORD}.metrics",
    ),
    "too many parameters": (
        lambda r: {"parameters": {f"p{n}": _text("") for n in range(257)}},
        "TOO_MANY_ITEMS",
        f"{RECORD}.parameters",
    ),
    "too many inputs": (
        lambda r: {"inputs": [{"version": r.version(1)}] * 1001},
        "TOO_MANY_ITEMS",
        f"{RECORD}.inputs",
    ),
    "too many aliases": (
        lambda r: {"aliases": [f"a{n}" for n in range(65)]},
        "TOO_MANY_ITEMS",
        "aliases",
    ),
    "too long a label": (
        lambda r: {"labels": {"l": "é" * 129}},
        "FIELD_TOO_LONG",
        "version.labels[l]",
    ),
    "too long a parameter": (
        lambda r: {"parameters": {"p": _text("x" * 1025)}},
        "FIELD_TOO_LONG",
        f"{RECORD}.parameters[p].string_value",
    ),
    "too long a note": (
        lambda r: {"change_note": "x" * 8193},
        "FIELD_TOO_LONG",
        f"{RECORD}.change_note",
    ),
    "too long a description": (
        lambda r: {"description": "x" * 8193},
        "FIELD_TOO_LONG",
        "version.description",
    ),
    "too large a version": (
        lambda r: {
            "parameters": {f"p{n:<126}".replace(" ", "x"): _text("x" * 1024) for n in range(250)}
        },
        "FIELD_TOO_LONG",
        "version",
    ),
    "too large a recipe": (
        lambda r: {"recipe": recipe_pb2.Recipe(command=["x" * 8000] * 140)},
        "FIELD_TOO_LONG",
        "recipe",
    ),
    "a bad key of a label": (
        lambda r: {"labels": {"a b": "1"}},
        "KEY_INVALID",
        "version.labels",
    ),
    "an empty key of a metric": (
        lambda r: {"metrics": {"": 1}},
        "KEY_INVALID",
        f"{RECORD}.metrics",
    ),
    "a control character in a note": (
        lambda r: {"change_note": "a\x1b[2Jb"},
        "FIELD_INVALID",
        f"{RECORD}.change_note",
    ),
    "an input that is nothing": (
        lambda r: {"inputs": [version_pb2.Input(digest=digest(b""))]},
        "FIELD_REQUIRED",
        f"{RECORD}.inputs[0].version",
    ),
    "an input outside without its digest": (
        lambda r: {"inputs": [{"uri": "s3://a/b"}]},
        "FIELD_REQUIRED",
        f"{RECORD}.inputs[0]",
    ),
    "the same input twice": (
        lambda r: {"inputs": [{"uri": "s3://a/b", "digest": digest(b"")}] * 2},
        "FIELD_INVALID",
        f"{RECORD}.inputs[1]",
    ),
    "an input by alias": (
        lambda r: {"inputs": [{"version": r.version("@champion")}]},
        "NAME_INVALID",
        f"{RECORD}.inputs[0].version",
    ),
    "a role that nobody knows": (
        lambda r: {"inputs": [{"version": r.version(1), "role": 99}]},
        "FIELD_INVALID",
        f"{RECORD}.inputs[0].role",
    ),
    "a kind that nobody knows": (lambda r: {"kind": 99}, "FIELD_INVALID", "kind"),
    "a request_id that is no UUID": (
        lambda r: {"request_id": "again"},
        "FIELD_INVALID",
        "request_id",
    ),
    "a package without a version": (
        lambda r: {
            "recipe": recipe_pb2.Recipe(
                environment=recipe_pb2.Environment(packages=[recipe_pb2.Package(name="numpy")])
            )
        },
        "FIELD_REQUIRED",
        "recipe.environment.packages[0].version",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_version_is_refused_and_leaves_nothing(
    registry: Registry, shared: RunningServer, what: str
) -> None:
    fields, reason, field = BAD[what]
    sealed = registry.create().record.digest

    with nothing_left(shared), refused("INVALID_ARGUMENT", reason, field):
        registry.create("new", sealed, **fields(registry))

    assert registry.create(files=sealed).number == 2


def test_a_version_without_a_digest_is_refused(registry: Registry, shared: RunningServer) -> None:
    for version, field in (
        (None, "version"),
        (version_pb2.Version(), "version.record"),
        (version_pb2.Version(record=version_pb2.VersionRecord()), "version.record.digest"),
    ):
        request = version_service_pb2.CreateVersionRequest(
            parent=registry.asset(), version=version, create_asset=True
        )
        with nothing_left(shared), refused("INVALID_ARGUMENT", "FIELD_REQUIRED", field):
            registry.versions.CreateVersion(request)


def test_a_stale_etag_changes_nothing(registry: Registry, shared: RunningServer) -> None:
    version = registry.create(aliases=["champion"])
    registry.create()
    asset = registry.get_asset()
    namespace = registry.namespaces.GetNamespace(
        namespace_service_pb2.GetNamespaceRequest(name=registry.name)
    )
    mask = FieldMask(paths=["description"])
    calls: dict[str, Callable[[], object]] = {
        namespace.name: lambda: registry.namespaces.UpdateNamespace(
            namespace_service_pb2.UpdateNamespaceRequest(
                namespace=namespace_pb2.Namespace(name=namespace.name, etag="r0"),
                update_mask=mask,
            )
        ),
        asset.name: lambda: registry.assets.UpdateAsset(
            asset_service_pb2.UpdateAssetRequest(
                asset=asset_pb2.Asset(name=asset.name, etag="r0"), update_mask=mask
            )
        ),
        asset.name + " ": lambda: registry.assets.DeleteAsset(
            asset_service_pb2.DeleteAssetRequest(name=asset.name, etag="r0")
        ),
        version.name: lambda: registry.versions.UpdateVersion(
            version_service_pb2.UpdateVersionRequest(
                version=version_pb2.Version(name=version.name, etag="r0"), update_mask=mask
            )
        ),
        registry.version(2): lambda: registry.delete(2, etag="r0"),
        registry.alias("champion"): lambda: registry.set_alias("champion", 2, etag="r0"),
        registry.alias("champion") + " ": lambda: registry.remove_alias("champion", etag="r0"),
    }

    for resource, call in calls.items():
        with nothing_left(shared), refused("ABORTED", "ETAG_MISMATCH") as refusal:
            call()
        assert refusal.metadata == {"resource": resource.strip(), "etag": "r0", "actual": "r1"}


def test_an_alias_that_must_be_new_is_not_moved(registry: Registry, shared: RunningServer) -> None:
    registry.create(aliases=["champion"])
    registry.create()

    with nothing_left(shared), refused("ABORTED", "ETAG_MISMATCH") as there:
        registry.set_alias("champion", 2, etag="-")
    with nothing_left(shared), refused("ABORTED", "ETAG_MISMATCH") as absent:
        registry.set_alias("challenger", 2, etag="r1")

    assert there.metadata["actual"] == "r1"
    assert absent.metadata["actual"] == "-"
    assert registry.set_alias("challenger", 2, etag="-").etag == "r1"


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        ([], ""),
        (["stage"], "stage"),
        (["description", "record"], "record"),
        (["record.metrics"], "record.metrics"),
        (["etag"], "etag"),
        (["nonsense"], "nonsense"),
        (["labels.a"], "labels.a"),
        (["*"], "*"),
    ],
)
def test_what_does_not_change_can_not_be_updated(
    registry: Registry, shared: RunningServer, paths: list[str], path: str
) -> None:
    registry.create(description="before")
    request = version_service_pb2.UpdateVersionRequest(
        version=version_pb2.Version(
            name=registry.version(1), description="after", stage=version_pb2.STAGE_PRODUCTION
        ),
        update_mask=FieldMask(paths=paths),
    )

    with (
        nothing_left(shared),
        refused("INVALID_ARGUMENT", "UPDATE_MASK_INVALID", "update_mask") as refusal,
    ):
        registry.versions.UpdateVersion(request)

    assert refusal.metadata == {"path": path}


def test_an_update_without_a_mask_is_refused(registry: Registry, shared: RunningServer) -> None:
    registry.create()
    request = version_service_pb2.UpdateVersionRequest(
        version=version_pb2.Version(name=registry.version(1), description="after")
    )

    with nothing_left(shared), refused("INVALID_ARGUMENT", "FIELD_REQUIRED", "update_mask"):
        registry.versions.UpdateVersion(request)


def test_too_many_labels_are_not_updated(registry: Registry, shared: RunningServer) -> None:
    registry.create()
    request = version_service_pb2.UpdateVersionRequest(
        version=version_pb2.Version(
            name=registry.version(1), labels={f"l{n}": "" for n in range(65)}
        ),
        update_mask=FieldMask(paths=["labels"]),
    )

    with nothing_left(shared), refused("INVALID_ARGUMENT", "TOO_MANY_ITEMS", "version.labels"):
        registry.versions.UpdateVersion(request)


def test_what_is_in_production_is_not_deleted(registry: Registry, shared: RunningServer) -> None:
    registry.create(aliases=["production"])

    with nothing_left(shared), refused("FAILED_PRECONDITION", "VERSION_HELD") as version:
        registry.delete(1)
    with nothing_left(shared), refused("FAILED_PRECONDITION", "VERSION_HELD") as asset:
        registry.assets.DeleteAsset(asset_service_pb2.DeleteAssetRequest(name=registry.asset()))

    holder = registry.alias("production")
    assert version.metadata == {
        "resource": registry.version(1),
        "holders": holder,
        "count": "1",
    }
    assert asset.metadata == {"resource": registry.asset(), "holders": holder, "count": "1"}


def test_a_65th_alias_is_refused(registry: Registry, shared: RunningServer) -> None:
    registry.create(aliases=[f"a{n}" for n in range(64)])
    sealed = registry.get(1).record.digest

    with nothing_left(shared), refused("RESOURCE_EXHAUSTED", "TOO_MANY_ALIASES") as refusal:
        registry.set_alias("one-more", 1)
    with nothing_left(shared), refused("RESOURCE_EXHAUSTED", "TOO_MANY_ALIASES"):
        registry.create(files=sealed, if_changed=True, aliases=["one-more"])

    assert refusal.metadata == {"resource": registry.version(1), "limit": "64"}
    registry.remove_alias("a7")
    assert registry.set_alias("one-more", 1).etag == "r1"


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(-1, 0), (3650 * 24 * 3600 + 1, 0), (0, -1), (1, -1)]
)
def test_an_undelete_period_has_its_bounds(
    registry: Registry, shared: RunningServer, seconds: int, nanos: int
) -> None:
    period = Duration(seconds=seconds, nanos=nanos)
    create = namespace_service_pb2.CreateNamespaceRequest(
        namespace_id=f"n{uuid.uuid4().hex}",
        namespace=namespace_pb2.Namespace(undelete_period=period),
    )
    update = namespace_service_pb2.UpdateNamespaceRequest(
        namespace=namespace_pb2.Namespace(name=registry.name, undelete_period=period),
        update_mask=FieldMask(paths=["undelete_period"]),
    )

    with nothing_left(shared):
        with refused("INVALID_ARGUMENT", "FIELD_INVALID", "namespace.undelete_period"):
            registry.namespaces.CreateNamespace(create)
        with refused("INVALID_ARGUMENT", "FIELD_INVALID", "namespace.undelete_period"):
            registry.namespaces.UpdateNamespace(update)


def test_a_time_in_the_future_is_refused(registry: Registry) -> None:
    registry.create()
    request = version_service_pb2.GetVersionRequest(name=registry.version(1))
    request.as_of_time.GetCurrentTime()
    request.as_of_time.seconds += 60

    with refused("INVALID_ARGUMENT", "TIME_IN_FUTURE", "as_of_time") as refusal:
        registry.versions.GetVersion(request)

    assert set(refusal.metadata) == {"now"}
