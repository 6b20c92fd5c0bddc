"""Repeats: a `request_id` has one answer and one effect."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, refused

from modelkeep.v1 import (
    asset_pb2,
    asset_service_pb2,
    namespace_pb2,
    namespace_service_pb2,
    version_pb2,
    version_service_pb2,
)

Write = tuple[Callable[[Registry], Any], Any]
Describe = FieldMask(paths=["description"])


def _writes(r: Registry) -> dict[str, tuple[Any, Any, Callable[[Any], None]]]:
    """Give a method, a request, and what makes the request another one, for each write."""
    v = version_service_pb2
    version = version_pb2.Version(record=version_pb2.VersionRecord(digest=r.get(1).record.digest))

    def note(request: Any) -> None:
        request.change_note = "another"

    return {
        "create a namespace": (
            r.namespaces.CreateNamespace,
            namespace_service_pb2.CreateNamespaceRequest(namespace_id=f"n{uuid.uuid4().hex}"),
            lambda q: setattr(q.namespace, "description", "another"),
        ),
        "update a namespace": (
            r.namespaces.UpdateNamespace,
            namespace_service_pb2.UpdateNamespaceRequest(
                namespace=namespace_pb2.Namespace(name=r.name, description="d"),
                update_mask=Describe,
            ),
            lambda q: setattr(q.namespace, "description", "another"),
        ),
        "create an asset": (
            r.assets.CreateAsset,
            asset_service_pb2.CreateAssetRequest(parent=r.name, asset_id="new"),
            lambda q: setattr(q.asset, "description", "another"),
        ),
        "update an asset": (
            r.assets.UpdateAsset,
            asset_service_pb2.UpdateAssetRequest(
                asset=asset_pb2.Asset(name=r.asset(), description="d"), update_mask=Describe
            ),
            lambda q: setattr(q.asset, "description", "another"),
        ),
        "delete an asset": (
            r.assets.DeleteAsset,
            asset_service_pb2.DeleteAssetRequest(name=r.asset("free")),
            lambda q: setattr(q, "etag", "r1"),
        ),
        "undelete an asset": (
            r.assets.UndeleteAsset,
            asset_service_pb2.UndeleteAssetRequest(name=r.asset("gone")),
            lambda q: setattr(q, "name", r.asset("free")),
        ),
        "create a version": (
            r.versions.CreateVersion,
            v.CreateVersionRequest(parent=r.asset(), version=version),
            lambda q: q.aliases.append("another"),
        ),
        "restore a version": (
            r.versions.RestoreVersion,
            v.RestoreVersionRequest(name=r.version(1)),
            note,
        ),
        "update a version": (
            r.versions.UpdateVersion,
            v.UpdateVersionRequest(
                version=version_pb2.Version(name=r.version(1), description="d"),
                update_mask=Describe,
            ),
            lambda q: setattr(q.version, "description", "another"),
        ),
        "delete a version": (
            r.versions.DeleteVersion,
            v.DeleteVersionRequest(name=r.version(2)),
            lambda q: setattr(q, "etag", "r1"),
        ),
        "undelete a version": (
            r.versions.UndeleteVersion,
            v.UndeleteVersionRequest(name=r.version(3)),
            lambda q: setattr(q, "name", r.version(2)),
        ),
        "purge a version": (
            r.versions.PurgeVersion,
            v.PurgeVersionRequest(name=r.version(3), reason="why"),
            lambda q: setattr(q, "reason", "another"),
        ),
        "set an alias": (
            r.versions.SetAlias,
            v.SetAliasRequest(name=r.alias("champion"), version=r.version(1)),
            lambda q: setattr(q, "version", r.version(2)),
        ),
        "remove an alias": (
            r.versions.RemoveAlias,
            v.RemoveAliasRequest(name=r.alias("old")),
            lambda q: setattr(q, "etag", "r1"),
        ),
    }


WRITES = (
    "create a namespace",
    "update a namespace",
    "create an asset",
    "update an asset",
    "delete an asset",
    "undelete an asset",
    "create a version",
    "restore a version",
    "update a version",
    "delete a version",
    "undelete a version",
    "purge a version",
    "set an alias",
    "remove an alias",
)


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """A namespace where each of the writes can be done."""
    sealed = registry.create(aliases=["old"]).record.digest
    for asset in ("churn", "churn", "free", "gone"):
        registry.create(asset, sealed)
    registry.delete(3)
    registry.assets.DeleteAsset(asset_service_pb2.DeleteAssetRequest(name=registry.asset("gone")))
    return registry


def _event_id(call: Any) -> str:
    return str(dict(call.trailing_metadata())["modelkeep-event-id"])


@pytest.mark.parametrize("what", WRITES)
def test_a_repeat_has_the_first_answer_and_no_effect(
    filled: Registry, shared: RunningServer, what: str
) -> None:
    method, request, _ = _writes(filled)[what]
    request.request_id = str(uuid.uuid4())
    first, first_call = method.with_call(request, metadata=filled.metadata)

    with nothing_left(shared.data):
        second, second_call = method.with_call(request, metadata=filled.metadata)

    assert second == first
    assert _event_id(second_call) == _event_id(first_call) != ""


@pytest.mark.parametrize("what", WRITES)
def test_a_request_id_with_another_body_is_refused(
    filled: Registry, shared: RunningServer, what: str
) -> None:
    method, request, change = _writes(filled)[what]
    request.request_id = str(uuid.uuid4())
    method(request, metadata=filled.metadata)
    change(request)

    with (
        nothing_left(shared.data),
        refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED", "request_id") as refusal,
    ):
        method(request, metadata=filled.metadata)

    assert refusal.metadata == {"request_id": request.request_id}


def test_every_write_of_the_contract_is_here(filled: Registry) -> None:
    services = (namespace_service_pb2, asset_service_pb2, version_service_pb2)
    writes = [
        method.name
        for module in services
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if "request_id" in method.input_type.fields_by_name
    ]

    assert len(writes) == len(WRITES) == len(_writes(filled))


def test_a_repeat_is_answered_as_things_were(registry: Registry) -> None:
    request_id = str(uuid.uuid4())
    first = registry.create(files={"f": b"1"}, request_id=request_id)
    registry.create()
    registry.delete(1)

    assert registry.create(files={"f": b"1"}, request_id=request_id) == first


def test_a_refused_call_is_not_kept(registry: Registry) -> None:
    registry.create()
    request_id = str(uuid.uuid4())
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.set_alias("a", 2, request_id=request_id)
    registry.create()

    assert registry.set_alias("a", 2, request_id=request_id).version == registry.version(2)


def test_a_request_id_is_the_callers_own(registry: Registry) -> None:
    request_id = str(uuid.uuid4())
    sealed = registry.seal({"f": b"1"})

    first = registry.create(files=sealed, request_id=request_id)
    second = registry.as_user("someone").create(files=sealed, request_id=request_id)

    assert (first.number, second.number) == (1, 2)


def test_a_request_id_is_the_methods_own(registry: Registry) -> None:
    request_id = str(uuid.uuid4())
    registry.create(request_id=request_id)

    assert registry.set_alias("a", 1, request_id=request_id).etag == "r1"


def test_a_call_that_changed_nothing_is_kept_without_an_event(registry: Registry) -> None:
    sealed = registry.create().record.digest
    request = version_service_pb2.CreateVersionRequest(
        parent=registry.asset(),
        version=version_pb2.Version(record=version_pb2.VersionRecord(digest=sealed)),
        if_changed=True,
        request_id=str(uuid.uuid4()),
    )
    first, call = registry.versions.CreateVersion.with_call(request)
    registry.create()

    assert first.number == 1
    assert "modelkeep-event-id" not in dict(call.trailing_metadata())
    assert registry.versions.CreateVersion(request).number == 1


def test_repeats_at_once_have_one_effect(registry: Registry) -> None:
    sealed = registry.seal({"f": b"1"})
    request_id = str(uuid.uuid4())

    with ThreadPoolExecutor(16) as pool:
        made = list(
            pool.map(
                lambda _: registry.create(files=sealed, request_id=request_id).number, range(16)
            )
        )

    assert made == [1] * 16
    assert registry.numbers() == [1]
