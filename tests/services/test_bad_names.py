"""What the server says of names that are not there, not allowed or taken."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, digest, refused

from modelkeep.v1 import (
    artifact_service_pb2,
    asset_pb2,
    asset_service_pb2,
    event_service_pb2,
    namespace_service_pb2,
    operation_service_pb2,
    version_pb2,
    version_service_pb2,
)

ABSENT = digest(b"nowhere")

BAD_NAMES = {
    "a slash": "a/b",
    "dot-dot": "a..b",
    "only dot-dot": "..",
    "a dot at the end": "a.",
    "a dot first": ".a",
    "a line feed": "a\nb",
    "a NUL": "a\x00b",
    "an escape": "a\x1b[31mb",
    "a right-to-left override": "a\u202eb",
    "a bidi isolate": "a\u2066b",
    "another alphabet": "churn\u0430",
    "a space": "a b",
    "300 characters": "a" * 300,
    "129 characters": "a" * 129,
    "a backslash": "a\\b",
    "a percent sign": "a%2fb",
}

Call = Callable[[Registry], Any]

UNKNOWN: dict[str, tuple[Call, str]] = {
    "a namespace": (
        lambda r: r.namespaces.GetNamespace(
            namespace_service_pb2.GetNamespaceRequest(name="namespaces/nowhere")
        ),
        "namespaces/nowhere",
    ),
    "the namespace of a list": (
        lambda r: r.assets.ListAssets(
            asset_service_pb2.ListAssetsRequest(parent="namespaces/nowhere")
        ),
        "namespaces/nowhere",
    ),
    "the namespace of a new asset": (
        lambda r: r.assets.CreateAsset(
            asset_service_pb2.CreateAssetRequest(parent="namespaces/nowhere", asset_id="a")
        ),
        "namespaces/nowhere",
    ),
    "the namespace of bytes looked for": (
        lambda r: r.missing(ABSENT, parent="namespaces/nowhere"),
        "namespaces/nowhere",
    ),
    "the namespace of bytes sent": (
        lambda r: r.push_blobs(b"bytes", parent="namespaces/nowhere"),
        "namespaces/nowhere",
    ),
    "the namespace of many bytes sent": (
        lambda r: r.push_blobs(bytes(2**20), parent="namespaces/nowhere"),
        "namespaces/nowhere",
    ),
    "the namespace of a seal": (
        lambda r: list(
            r.artifacts.SealManifest(
                artifact_service_pb2.SealManifestRequest(parent="namespaces/nowhere", digest=ABSENT)
            )
        ),
        "namespaces/nowhere",
    ),
    "an asset": (lambda r: r.get_asset("nowhere"), "{}/assets/nowhere"),
    "the asset of a list": (lambda r: r.numbers("nowhere"), "{}/assets/nowhere"),
    "the asset of a version": (lambda r: r.get(1, "nowhere"), "{}/assets/nowhere"),
    "the asset of an alias": (lambda r: r.set_alias("a", 1, "nowhere"), "{}/assets/nowhere"),
    "the asset of a new version": (
        lambda r: r.versions.CreateVersion(
            version_service_pb2.CreateVersionRequest(
                parent=r.asset("nowhere"),
                version=version_pb2.Version(record=version_pb2.VersionRecord(digest=ABSENT)),
            )
        ),
        "{}/assets/nowhere",
    ),
    "a version": (lambda r: r.get(9), "{}/assets/churn/versions/9"),
    "a version by digest": (lambda r: r.get(ABSENT), "{}/assets/churn/versions/" + ABSENT),
    "a version by alias": (lambda r: r.get("@nobody"), "{}/assets/churn/versions/@nobody"),
    "a version by stage": (lambda r: r.get("@staging"), "{}/assets/churn/versions/@staging"),
    "a version in production": (
        lambda r: r.get("@production"),
        "{}/assets/churn/versions/@production",
    ),
    "the version of an alias": (lambda r: r.set_alias("a", 9), "{}/assets/churn/versions/9"),
    "the version of a deletion": (lambda r: r.delete(9), "{}/assets/churn/versions/9"),
    "the version of an undeletion": (lambda r: r.undelete(9), "{}/assets/churn/versions/9"),
    "the version of an input": (
        lambda r: r.create(files=r.get(1).record.digest, inputs=[{"version": r.version(9)}]),
        "{}/assets/churn/versions/9",
    ),
    "a recipe": (
        lambda r: r.versions.GetRecipe(version_service_pb2.GetRecipeRequest(name=r.version(1))),
        "{}/assets/churn/versions/1/recipe",
    ),
    "a file": (
        lambda r: list(
            r.artifacts.DownloadFiles(
                artifact_service_pb2.DownloadFilesRequest(
                    version=r.version(1), ranges=[artifact_service_pb2.FileRange(path="none")]
                )
            )
        ),
        "{}/assets/churn/versions/1/files/none",
    ),
    "an alias": (
        lambda r: r.versions.GetAlias(version_service_pb2.GetAliasRequest(name=r.alias("nobody"))),
        "{}/assets/churn/aliases/nobody",
    ),
    "an alias to remove": (lambda r: r.remove_alias("nobody"), "{}/assets/churn/aliases/nobody"),
    "an alias of another case": (
        lambda r: r.remove_alias("Champion"),
        "{}/assets/churn/aliases/Champion",
    ),
    "an event": (
        lambda r: r.events.GetEvent(event_service_pb2.GetEventRequest(name=f"events/{2**62}")),
        f"events/{2**62}",
    ),
    "an operation": (
        lambda r: r.operations.GetOperation(
            operation_service_pb2.GetOperationRequest(name="operations/seal-4000000000")
        ),
        "operations/seal-4000000000",
    ),
    "an operation of another kind": (
        lambda r: r.operations.GetOperation(
            operation_service_pb2.GetOperationRequest(name="operations/verify-1")
        ),
        "operations/verify-1",
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_there_is_not_found(
    registry: Registry, shared: RunningServer, what: str
) -> None:
    registry.create(aliases=["champion"])
    call, resource = UNKNOWN[what]

    with nothing_left(shared), refused("NOT_FOUND", "RESOURCE_NOT_FOUND") as refusal:
        call(registry)

    assert refusal.metadata["resource"] == resource.format(registry.name)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_an_asset_is_not_given_a_bad_name(
    registry: Registry, shared: RunningServer, name: str
) -> None:
    request = asset_service_pb2.CreateAssetRequest(parent=registry.name, asset_id=name)

    with (
        nothing_left(shared),
        refused("INVALID_ARGUMENT", "NAME_INVALID", "asset_id") as refusal,
    ):
        registry.assets.CreateAsset(request)

    assert refusal.message.isascii()
    assert len(refusal.message) < 400


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_push_makes_no_asset_of_a_bad_name(
    registry: Registry, shared: RunningServer, name: str
) -> None:
    sealed = registry.seal({"f": b"1"})

    with nothing_left(shared), refused("INVALID_ARGUMENT", "NAME_INVALID", "parent"):
        registry.create(name, sealed)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_namespace_is_not_given_a_bad_name(
    registry: Registry, shared: RunningServer, name: str
) -> None:
    request = namespace_service_pb2.CreateNamespaceRequest(namespace_id=name)

    with nothing_left(shared), refused("INVALID_ARGUMENT", "NAME_INVALID", "namespace_id"):
        registry.namespaces.CreateNamespace(request)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_an_alias_is_not_given_a_bad_name(
    registry: Registry, shared: RunningServer, name: str
) -> None:
    sealed = registry.create().record.digest

    with nothing_left(shared), refused("INVALID_ARGUMENT", "NAME_INVALID", "name"):
        registry.set_alias(name, 1)
    with nothing_left(shared), refused("INVALID_ARGUMENT", "ALIAS_INVALID", "aliases[1]"):
        registry.create(files=sealed, aliases=["fine", name])


@pytest.mark.parametrize("name", ["latest", "LATEST", "7", "007", "0"])
def test_a_number_or_latest_is_no_alias(
    registry: Registry, shared: RunningServer, name: str
) -> None:
    sealed = registry.create().record.digest

    with nothing_left(shared), refused("INVALID_ARGUMENT", "ALIAS_INVALID", "name"):
        registry.set_alias(name, 1)
    with nothing_left(shared), refused("INVALID_ARGUMENT", "ALIAS_INVALID", "aliases[0]"):
        registry.create(files=sealed, aliases=[name])


@pytest.mark.parametrize("name", ["development", "testing", "staging", "archived", "Staging"])
def test_a_stage_without_a_pointer_is_no_alias(
    registry: Registry, shared: RunningServer, name: str
) -> None:
    sealed = registry.create().record.digest

    with nothing_left(shared), refused("INVALID_ARGUMENT", "ALIAS_RESERVED", "name"):
        registry.set_alias(name, 1)
    with nothing_left(shared), refused("INVALID_ARGUMENT", "ALIAS_RESERVED", "aliases[0]"):
        registry.create(files=sealed, aliases=[name])


def test_production_in_another_case_is_no_alias(registry: Registry, shared: RunningServer) -> None:
    registry.create()

    with nothing_left(shared), refused("INVALID_ARGUMENT", "ALIAS_RESERVED", "name"):
        registry.set_alias("Production", 1)


def test_names_that_differ_only_in_case_are_taken(
    registry: Registry, shared: RunningServer
) -> None:
    sealed = registry.create("churn", aliases=["champion"]).record.digest
    tail = registry.name.removeprefix("namespaces/")

    with nothing_left(shared):
        with refused("ALREADY_EXISTS", "NAME_TAKEN") as asset:
            registry.assets.CreateAsset(
                asset_service_pb2.CreateAssetRequest(parent=registry.name, asset_id="Churn")
            )
        with refused("ALREADY_EXISTS", "NAME_TAKEN") as pushed:
            registry.create("CHURN", sealed)
        with refused("ALREADY_EXISTS", "NAME_TAKEN") as alias:
            registry.set_alias("Champion", 1)
        with refused("ALREADY_EXISTS", "NAME_TAKEN") as alias_pushed:
            registry.create(files=sealed, aliases=["CHAMPION"])
        with refused("ALREADY_EXISTS", "NAME_TAKEN") as namespace:
            registry.namespaces.CreateNamespace(
                namespace_service_pb2.CreateNamespaceRequest(namespace_id=tail.upper())
            )

    assert asset.metadata == pushed.metadata == {"resource": registry.asset("churn")}
    assert alias.metadata == alias_pushed.metadata == {"resource": registry.alias("champion")}
    assert namespace.metadata == {"resource": registry.name}


def test_names_are_looked_up_exactly(registry: Registry) -> None:
    registry.create("churn", aliases=["champion"])

    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.get_asset("Churn")
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.get("@Champion")


def test_the_name_of_a_removed_alias_stays_its_own(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    registry.remove_alias("champion")

    with refused("ALREADY_EXISTS", "NAME_TAKEN"):
        registry.set_alias("Champion", 1)
    assert registry.set_alias("champion", 1).version == registry.version(1)


@pytest.mark.parametrize("name", ["churn", "Churn"])
def test_the_name_of_a_deleted_asset_stays_taken(registry: Registry, name: str) -> None:
    sealed = registry.create("churn").record.digest
    registry.assets.DeleteAsset(asset_service_pb2.DeleteAssetRequest(name=registry.asset()))

    with refused("ALREADY_EXISTS", "NAME_TAKEN"):
        registry.assets.CreateAsset(
            asset_service_pb2.CreateAssetRequest(parent=registry.name, asset_id=name)
        )
    with refused("FAILED_PRECONDITION", "ASSET_DELETED"):
        registry.create("churn", sealed)


@pytest.mark.parametrize(
    "method", ["AssetService/GetAsset", "VersionService/GetVersion", "AssetService/DeleteAsset"]
)
def test_a_name_that_is_not_utf8_is_malformed(
    shared_channel: grpc.Channel, shared: RunningServer, method: str
) -> None:
    name = b"namespaces/default/assets/\xff\xfe"
    call: Any = shared_channel.unary_unary(f"/modelkeep.v1.{method}")

    with nothing_left(shared), refused("INVALID_ARGUMENT", "REQUEST_MALFORMED"):
        call(b"\x0a" + bytes([len(name)]) + name)


def test_an_asset_pushed_as_another_kind_keeps_its_kind(
    registry: Registry, shared: RunningServer
) -> None:
    sealed = registry.create(kind=asset_pb2.ASSET_KIND_DATASET).record.digest

    with (
        nothing_left(shared),
        refused("FAILED_PRECONDITION", "KIND_MISMATCH", "kind") as refusal,
    ):
        registry.create(files=sealed, kind=asset_pb2.ASSET_KIND_MODEL)

    assert refusal.metadata == {
        "resource": registry.asset(),
        "kind": "dataset",
        "requested": "model",
    }
    assert registry.get_asset().kind == asset_pb2.ASSET_KIND_DATASET


@pytest.mark.parametrize(
    "selector", ["0", "07", "-1", "2147483648", "", "@", "@7", "sha256:abc", "seven", "@a/b"]
)
def test_a_version_is_not_found_by_nonsense(registry: Registry, selector: str) -> None:
    registry.create()

    with refused("INVALID_ARGUMENT", "NAME_INVALID", "name"):
        registry.get(selector)


def test_an_alias_does_not_point_to_another_assets_version(
    registry: Registry, shared: RunningServer
) -> None:
    registry.create("churn")
    registry.create("other")
    request = version_service_pb2.SetAliasRequest(
        name=registry.alias("a", "churn"), version=registry.version(1, "other")
    )

    with nothing_left(shared), refused("NOT_FOUND", "RESOURCE_NOT_FOUND", "version"):
        registry.versions.SetAlias(request)
