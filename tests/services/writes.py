"""Every write of the contract that has a `request_id`, on a namespace where each can be done."""

import importlib
import pkgutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from tests.services.wire import Registry

import modelkeep.v1
from modelkeep.v1 import (
    asset_pb2,
    asset_service_pb2,
    evaluation_pb2,
    monitoring_service_pb2,
    namespace_pb2,
    namespace_service_pb2,
    version_pb2,
    version_service_pb2,
)

_DESCRIBE = FieldMask(paths=["description"])


@dataclass(frozen=True, slots=True)
class Write:
    """A request, and what makes it another one."""

    request: Any
    change: Callable[[Any], None]

    @property
    def rpc(self) -> str:
        """Its name in the contract."""
        return str(self.request.DESCRIPTOR.name).removesuffix("Request")

    def on(self, r: Registry) -> Any:
        """Give its method as `r` calls it."""
        file = str(self.request.DESCRIPTOR.file.name).rpartition("/")[2]
        name = file.removesuffix("_service.proto")
        stub = name if name == "monitoring" else f"{name}s"
        return getattr(getattr(r, stub), self.rpc)


WRITES = (
    "create a namespace",
    "update a namespace",
    "create an asset",
    "update an asset",
    "delete an asset",
    "undelete an asset",
    "create a version",
    "create a version, its asset and aliases",
    "restore a version",
    "update a version",
    "delete a version",
    "undelete a version",
    "purge a version",
    "evaluate a version",
    "set an alias",
    "move production",
    "remove an alias",
    "remove production",
)

LONG_WORK = {"CollectGarbage", "VerifyRegistry"}
"""Writes whose effect goes on behind the answer; their own tests repeat them."""


def writes(r: Registry) -> dict[str, Write]:
    """Give each write, on a namespace that was filled."""
    requests = _of_namespaces(r) | _of_assets(r) | _of_versions(r) | _of_aliases(r)
    found = {}
    for what in WRITES:
        request, change = requests[what]
        request.request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{r.name} {what}"))
        found[what] = Write(request, change)
    return found


def fill(r: Registry) -> None:
    """Make what the writes need."""
    sealed = r.create(files={"model.bin": b"model"}, aliases=["old"]).record.digest
    for asset in ("churn", "churn", "free", "gone", "live", "live"):
        r.create(asset, sealed)
    r.delete(3)
    r.assets.DeleteAsset(asset_service_pb2.DeleteAssetRequest(name=r.asset("gone")))
    for alias in ("production", "champion"):
        r.set_alias(alias, 1, "live")


def rpcs_with_request_ids() -> set[str]:
    """List the writes that the contract has."""
    return {
        method.name
        for module in pkgutil.iter_modules(modelkeep.v1.__path__, "modelkeep.v1.")
        if module.name.endswith("_service_pb2")
        for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if "request_id" in method.input_type.fields_by_name
    }


_Requests = dict[str, tuple[Any, Callable[[Any], None]]]


def _of_namespaces(r: Registry) -> _Requests:
    v = namespace_service_pb2
    new = f"{r.name.removeprefix('namespaces/')}-new"
    described = namespace_pb2.Namespace(name=r.name, description="d")
    return {
        "create a namespace": (
            v.CreateNamespaceRequest(namespace_id=new),
            lambda q: setattr(q.namespace, "description", "another"),
        ),
        "update a namespace": (
            v.UpdateNamespaceRequest(namespace=described, update_mask=_DESCRIBE),
            lambda q: setattr(q.namespace, "description", "another"),
        ),
    }


def _of_assets(r: Registry) -> _Requests:
    v = asset_service_pb2
    described = asset_pb2.Asset(name=r.asset(), description="d")
    return {
        "create an asset": (
            v.CreateAssetRequest(parent=r.name, asset_id="new"),
            lambda q: setattr(q.asset, "description", "another"),
        ),
        "update an asset": (
            v.UpdateAssetRequest(asset=described, update_mask=_DESCRIBE),
            lambda q: setattr(q.asset, "description", "another"),
        ),
        "delete an asset": (
            v.DeleteAssetRequest(name=r.asset("free")),
            lambda q: setattr(q, "etag", "r1"),
        ),
        "undelete an asset": (
            v.UndeleteAssetRequest(name=r.asset("gone")),
            lambda q: setattr(q, "name", r.asset("free")),
        ),
    }


def _of_versions(r: Registry) -> _Requests:
    v = version_service_pb2
    version = version_pb2.Version(record=version_pb2.VersionRecord(digest=r.get(1).record.digest))
    described = version_pb2.Version(name=r.version(1), description="d")
    with_asset = v.CreateVersionRequest(
        parent=r.asset("fresh"),
        version=version,
        create_asset=True,
        aliases=["production", "champion"],
    )
    return {
        "create a version": (
            v.CreateVersionRequest(parent=r.asset(), version=version),
            lambda q: q.aliases.append("another"),
        ),
        "create a version, its asset and aliases": (
            with_asset,
            lambda q: q.aliases.append("another"),
        ),
        "evaluate a version": (
            monitoring_service_pb2.CreateEvaluationRequest(
                parent=r.version(1), evaluation=evaluation_pb2.Evaluation(metrics={"auc": 0.5})
            ),
            lambda q: setattr(q.evaluation, "note", "another"),
        ),
        "restore a version": (
            v.RestoreVersionRequest(name=r.version(1)),
            lambda q: setattr(q, "change_note", "another"),
        ),
        "update a version": (
            v.UpdateVersionRequest(version=described, update_mask=_DESCRIBE),
            lambda q: setattr(q.version, "description", "another"),
        ),
        "delete a version": (
            v.DeleteVersionRequest(name=r.version(2)),
            lambda q: setattr(q, "etag", "r1"),
        ),
        "undelete a version": (
            v.UndeleteVersionRequest(name=r.version(3)),
            lambda q: setattr(q, "name", r.version(2)),
        ),
        "purge a version": (
            v.PurgeVersionRequest(name=r.version(3), reason="why"),
            lambda q: setattr(q, "reason", "another"),
        ),
    }


def _of_aliases(r: Registry) -> _Requests:
    v = version_service_pb2
    return {
        "set an alias": (
            v.SetAliasRequest(name=r.alias("champion"), version=r.version(1)),
            lambda q: setattr(q, "version", r.version(2)),
        ),
        "move production": (
            v.SetAliasRequest(name=r.alias("production", "live"), version=r.version(2, "live")),
            lambda q: setattr(q, "version", r.version(1, "live")),
        ),
        "remove an alias": (
            v.RemoveAliasRequest(name=r.alias("old")),
            lambda q: setattr(q, "etag", "r1"),
        ),
        "remove production": (
            v.RemoveAliasRequest(name=r.alias("production", "live")),
            lambda q: setattr(q, "etag", "r1"),
        ),
    }
