"""The model's writes as requests of the generated stubs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from tests.services.wire import Registry, digest, manifest

from modelkeep.v1 import asset_pb2, version_pb2
from modelkeep.v1 import asset_service_pb2 as assets
from modelkeep.v1 import version_service_pb2 as versions
from modelkeep.v1.recipe_pb2 import Recipe

RECIPE = Recipe(command=["python", "train.py"])
CONTENTS = {name: {"f": name.encode() * size} for name, size in (("x", 1), ("y", 3), ("z", 5))}
DIGESTS = {name: digest(manifest(files)) for name, files in CONTENTS.items()}

Etag = Callable[[str, int], str]
Built = tuple[Any, Any]  # a method of a stub, and its request


def kind(name: str) -> asset_pb2.AssetKind.ValueType:
    """Give a kind by its name; of none, none."""
    return asset_pb2.AssetKind.Value(f"ASSET_KIND_{name or 'UNSPECIFIED'}")


@dataclass(frozen=True)
class Requests:
    """How a client asks for each write; `etag` tells a resource's etag of a revision."""

    client: Registry
    etag: Etag

    def create_asset(self, asset: str, **args: Any) -> Built:
        new = asset_pb2.Asset(kind=kind(args["kind"]))
        request = assets.CreateAssetRequest(parent=self.client.name, asset_id=asset, asset=new)
        return self.client.assets.CreateAsset, request

    def update_asset(self, asset: str, etag: int, changes: Mapping[str, Any]) -> Built:
        name = self.client.asset(asset)
        wanted = asset_pb2.Asset(name=name, etag=self.etag(asset, etag), **changes)
        request = assets.UpdateAssetRequest(asset=wanted, update_mask=_mask(changes))
        return self.client.assets.UpdateAsset, request

    def delete_asset(self, asset: str, etag: int) -> Built:
        name = self.client.asset(asset)
        request = assets.DeleteAssetRequest(name=name, etag=self.etag(asset, etag))
        return self.client.assets.DeleteAsset, request

    def undelete_asset(self, asset: str) -> Built:
        request = assets.UndeleteAssetRequest(name=self.client.asset(asset))
        return self.client.assets.UndeleteAsset, request

    def create(self, asset: str, inputs: tuple[tuple[str, int], ...], **args: Any) -> Built:
        record = version_pb2.VersionRecord(
            digest=DIGESTS[args["digest"]],
            change_note=args["note"],
            # It is the caller, whatever the request says.
            author="principals/someone-else",
            inputs=[version_pb2.Input(version=self.client.version(n, a)) for a, n in inputs],
        )
        request = versions.CreateVersionRequest(
            parent=self.client.asset(asset),
            version=version_pb2.Version(record=record, labels=args["labels"]),
            recipe=RECIPE if args["recipe"] else None,
            kind=kind(args["kind"]),
            **{name: args[name] for name in ("aliases", "create_asset", "if_changed")},
        )
        return self.client.versions.CreateVersion, request

    def restore(self, asset: str, number: int, note: str) -> Built:
        name = self.client.version(number, asset)
        request = versions.RestoreVersionRequest(name=name, change_note=note)
        return self.client.versions.RestoreVersion, request

    def update(self, asset: str, number: int, etag: int, changes: Mapping[str, Any]) -> Built:
        name = self.client.version(number, asset)
        text = self.etag(f"{asset}/versions/{number}", etag)
        wanted = version_pb2.Version(name=name, etag=text, **changes)
        request = versions.UpdateVersionRequest(version=wanted, update_mask=_mask(changes))
        return self.client.versions.UpdateVersion, request

    def delete(self, asset: str, number: int, etag: int) -> Built:
        name = self.client.version(number, asset)
        text = self.etag(f"{asset}/versions/{number}", etag)
        request = versions.DeleteVersionRequest(name=name, etag=text)
        return self.client.versions.DeleteVersion, request

    def undelete(self, asset: str, number: int) -> Built:
        request = versions.UndeleteVersionRequest(name=self.client.version(number, asset))
        return self.client.versions.UndeleteVersion, request

    def purge(self, asset: str, number: int, etag: int) -> Built:
        name = self.client.version(number, asset)
        text = self.etag(f"{asset}/versions/{number}", etag)
        request = versions.PurgeVersionRequest(name=name, reason="out of date", etag=text)
        return self.client.versions.PurgeVersion, request

    def set_alias(self, asset: str, alias: str, number: int, etag: int) -> Built:
        request = versions.SetAliasRequest(
            name=self.client.alias(alias, asset),
            version=self.client.version(number, asset),
            etag=self.etag(f"{asset}/aliases/{alias}", etag),
        )
        return self.client.versions.SetAlias, request

    def remove_alias(self, asset: str, alias: str, etag: int) -> Built:
        name = self.client.alias(alias, asset)
        text = self.etag(f"{asset}/aliases/{alias}", etag)
        request = versions.RemoveAliasRequest(name=name, etag=text)
        return self.client.versions.RemoveAlias, request


def _mask(changes: Mapping[str, Any]) -> FieldMask:
    return FieldMask(paths=list(changes))
