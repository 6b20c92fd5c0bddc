"""Requests against the contract's rules: what is refused, why, and which field is named."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from modelkeep.errors import InvalidArgumentError
from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1 import asset_pb2, event_service_pb2, namespace_pb2, version_pb2
from modelkeep.v1 import asset_service_pb2 as assets
from modelkeep.v1 import namespace_service_pb2 as namespaces
from modelkeep.v1 import version_service_pb2 as versions
from modelkeep_server.edge import validate

ASSET = "namespaces/fraud/assets/churn"
DIGEST = "sha256:" + "0" * 64
MASK = FieldMask(paths=["description"])


def _check(message: Message) -> None:
    descriptor: Any = message.DESCRIPTOR
    validate.request(descriptor)(message)


def _create(change: Callable[[versions.CreateVersionRequest], object]) -> Message:
    """Give a right request, then change it."""
    record = version_pb2.VersionRecord(digest=DIGEST, metrics={"auc": 0.9})
    version = version_pb2.Version(record=record, labels={"team": "fraud"})
    request = versions.CreateVersionRequest(parent=ASSET, version=version)
    change(request)
    return request


def _set(path: str, value: object) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            message = getattr(message, parent)
        field = getattr(message, last)
        if hasattr(field, "update"):
            field.update(value)
        elif hasattr(field, "extend"):
            field.extend(value)
        elif hasattr(field, "CopyFrom"):
            field.CopyFrom(value)
        else:
            setattr(message, last, value)

    return change


def test_a_right_request_passes() -> None:
    _check(_create(lambda request: None))


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        (_set("parent", ""), "FIELD_REQUIRED", "parent"),
        (_set("parent", "namespaces/fraud"), "NAME_INVALID", "parent"),
        (_set("parent", "namespaces/a/../assets/b"), "NAME_INVALID", "parent"),
        (_set("parent", f"namespaces/a/assets/{'x' * 300}"), "NAME_INVALID", "parent"),
        (_set("parent", "namespaces/a/assets/b\u202e"), "NAME_INVALID", "parent"),
        (lambda request: request.ClearField("version"), "FIELD_REQUIRED", "version"),
        (lambda r: r.version.ClearField("record"), "FIELD_REQUIRED", "version.record"),
        (_set("version.record.digest", ""), "FIELD_REQUIRED", "version.record.digest"),
        (_set("version.record.digest", "md5:0"), "DIGEST_INVALID", "version.record.digest"),
        (_set("version.display_name", "x" * 257), "FIELD_TOO_LONG", "version.display_name"),
        (_set("version.display_name", "é" * 129), "FIELD_TOO_LONG", "version.display_name"),
        (_set("version.description", "a\x00"), "FIELD_INVALID", "version.description"),
        (_set("version.description", "a\r"), "FIELD_INVALID", "version.description"),
        (_set("version.labels", {"a b": "1"}), "KEY_INVALID", "version.labels"),
        (_set("version.labels", {"a": "x" * 257}), "FIELD_TOO_LONG", "version.labels[a]"),
        (_set("version.labels", {"a": "\x1b"}), "FIELD_INVALID", "version.labels[a]"),
        (
            _set("version.labels", {str(n): "" for n in range(64)}),
            "TOO_MANY_ITEMS",
            "version.labels",
        ),
        (
            _set("version.record.metrics", {"f1": float("nan")}),
            "METRIC_NOT_FINITE",
            "version.record.metrics[f1]",
        ),
        (
            _set("version.record.metrics", {"f1": float("-inf")}),
            "METRIC_NOT_FINITE",
            "version.record.metrics[f1]",
        ),
        (
            lambda r: _set("double_value", float("inf"))(r.version.record.parameters["lr"]),
            "METRIC_NOT_FINITE",
            "version.record.parameters[lr].double_value",
        ),
        (
            lambda r: _set("string_value", "x" * 1025)(r.version.record.parameters["lr"]),
            "FIELD_TOO_LONG",
            "version.record.parameters[lr].string_value",
        ),
        (
            lambda r: r.version.record.parameters["lr"],
            "FIELD_REQUIRED",
            "version.record.parameters[lr].string_value",
        ),
        (
            _set("version.record.inputs", [version_pb2.Input(uri="s3://x"), version_pb2.Input()]),
            "FIELD_REQUIRED",
            "version.record.inputs[1].version",
        ),
        (
            _set("version.record.inputs", [version_pb2.Input(version=f"{ASSET}/versions/@x")]),
            "NAME_INVALID",
            "version.record.inputs[0].version",
        ),
        (
            _set("version.record.inputs", [version_pb2.Input(uri="x", role=9)]),  # type: ignore[arg-type]  # what a newer client may send
            "FIELD_INVALID",
            "version.record.inputs[0].role",
        ),
        (
            _set("version.record.signature.outputs", [version_pb2.Field(dtype="f4", shape=[-2])]),
            "FIELD_INVALID",
            "version.record.signature.outputs[0].shape[0]",
        ),
        (
            _set("version.record.flavor.version", "1"),
            "FIELD_REQUIRED",
            "version.record.flavor.name",
        ),
        (_set("kind", 99), "FIELD_INVALID", "kind"),
        (_set("aliases", ["ok", "latest"]), "ALIAS_INVALID", "aliases[1]"),
        (_set("aliases", ["7"]), "ALIAS_INVALID", "aliases[0]"),
        (_set("aliases", ["staging"]), "ALIAS_RESERVED", "aliases[0]"),
        (_set("aliases", [f"a{n}" for n in range(65)]), "TOO_MANY_ITEMS", "aliases"),
        (_set("request_id", "7"), "FIELD_INVALID", "request_id"),
        (_set("recipe.hardware.cpu_count", -1), "FIELD_INVALID", "recipe.hardware.cpu_count"),
        (_set("recipe.start_time.seconds", 2**60), "FIELD_INVALID", "recipe.start_time"),
        (_set("recipe.end_time.nanos", -1), "FIELD_INVALID", "recipe.end_time"),
        (
            _set("recipe.parameters", {"a": {"b": [1.0, float("nan")]}}),
            "METRIC_NOT_FINITE",
            "recipe.parameters[a][b][1]",
        ),
        (
            lambda r: r.recipe.parameters.fields["a"],
            "FIELD_INVALID",
            "recipe.parameters[a]",
        ),
        (_set("recipe.command", ["x" * 8193]), "FIELD_TOO_LONG", "recipe.command[0]"),
        (_set("recipe.command", ["x" * 8000] * 140), "FIELD_TOO_LONG", "recipe"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_breaks_a_rule_is_refused_by_field(
    change: Callable[[versions.CreateVersionRequest], object], reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        _check(_create(change))

    assert refused.value.reason == reason
    assert [violation.field for violation in refused.value.fields] == [field]


@pytest.mark.parametrize(
    "message",
    [
        versions.ListVersionsRequest(parent=ASSET, page_size=-1),
        versions.ListVersionsRequest(parent=ASSET, stage=77),  # type: ignore[arg-type]  # what a newer client may send
        versions.GetVersionRequest(name=f"{ASSET}/versions/0"),
        versions.GetVersionRequest(name=f"{ASSET}/versions/@"),
        versions.PurgeVersionRequest(name=f"{ASSET}/versions/1"),
        artifacts.UploadBlobsRequest(
            header=artifacts.UploadHeader(parent="namespaces/a", digest=DIGEST, size=-1)
        ),
        artifacts.UploadBlobsRequest(pack=artifacts.BlobPack(parent="namespaces/a")),
        artifacts.FindMissingBlobsRequest(parent="namespaces/a", digests=[DIGEST] * 10_001),
        artifacts.DownloadFilesRequest(
            version=f"{ASSET}/versions/1", ranges=[artifacts.FileRange(path="../x")]
        ),
        event_service_pb2.GetEventRequest(name="events/0"),
        event_service_pb2.GetEventRequest(name="events/9223372036854775808"),
        event_service_pb2.WatchEventsRequest(resource="assets/x"),
        event_service_pb2.WatchEventsRequest(after_position=-1),
        assets.ListAssetsRequest(parent="namespaces/a/assets/b"),
        namespaces.CreateNamespaceRequest(namespace_id="a/b"),
        namespaces.CreateNamespaceRequest(
            namespace_id="a",
            namespace=namespace_pb2.Namespace(undelete_period={"seconds": 1, "nanos": -1}),  # type: ignore[arg-type]  # a dict will do
        ),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_other_requests_are_checked_too(message: Message) -> None:
    with pytest.raises(InvalidArgumentError):
        _check(message)


@pytest.mark.parametrize(
    "message",
    [
        versions.GetVersionRequest(name=f"{ASSET}/versions/latest"),
        versions.GetVersionRequest(name=f"{ASSET}/versions/@production"),
        versions.GetVersionRequest(name=f"{ASSET}/versions/{DIGEST}"),
        assets.ListAssetsRequest(parent="namespaces/-"),
        artifacts.SealManifestRequest(parent=ASSET, digest=DIGEST),
        artifacts.UploadBlobsRequest(chunk=b"\xff\x00"),
        artifacts.UploadBlobsRequest(),
        artifacts.UploadBlobsRequest(
            header=artifacts.UploadHeader(parent="namespaces/a", digest=DIGEST)
        ),
        event_service_pb2.WatchEventsRequest(after_position=0),
        event_service_pb2.WatchEventsRequest(resource=f"{ASSET}/versions/7"),
        versions.RestoreVersionRequest(name=f"{ASSET}/versions/1", change_note="a\n\tb\u202e"),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_what_the_rules_allow_passes(message: Message) -> None:
    _check(message)


def test_a_new_resource_has_no_name_yet_and_what_the_server_fills_in_is_ignored() -> None:
    asset = asset_pb2.Asset(name="junk", creator="\x00", latest_number=-1)

    _check(assets.CreateAssetRequest(parent="namespaces/a", asset_id="b", asset=asset))


def test_an_update_says_which_resource_and_needs_nothing_else_of_it() -> None:
    named = version_pb2.Version(name=f"{ASSET}/versions/1", description="x")

    _check(versions.UpdateVersionRequest(version=named, update_mask=MASK))
    for name in ("", "junk"):
        named.name = name
        with pytest.raises(InvalidArgumentError) as refused:
            _check(versions.UpdateVersionRequest(version=named, update_mask=MASK))
        assert refused.value.fields[0].field == "version.name"


def test_an_update_needs_a_mask() -> None:
    named = version_pb2.Version(name=f"{ASSET}/versions/1", description="x")

    with pytest.raises(InvalidArgumentError) as refused:
        _check(versions.UpdateVersionRequest(version=named))

    assert (refused.value.reason, refused.value.fields[0].field) == (
        "FIELD_REQUIRED",
        "update_mask",
    )
