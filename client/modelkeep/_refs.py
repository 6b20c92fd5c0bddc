"""What people write, as the names that the wire carries."""

import os
import re
from collections.abc import Callable
from datetime import datetime

from modelkeep._types import Asset, Namespace, Progress, Version
from modelkeep.errors import InvalidArgumentError
from modelkeep.names import (
    AliasName,
    AssetName,
    NamespaceName,
    Reference,
    VersionName,
    VersionSelector,
    check_name,
    shown,
)

Ref = str | Reference | VersionName | VersionSelector | Version
"""A version: `fraud/churn:7`, `churn@champion`, `churn` (the latest), its name, or its handle."""

AssetRef = str | Reference | AssetName | Asset
"""An asset: `fraud/churn`, `churn`, its name, or its handle."""

Resource = AssetRef | Namespace | Version | VersionName | AliasName
"""What events are about: an asset, a version, an alias (`churn@champion`), or a namespace, which
as a text is `fraud/`."""

PathLike = str | os.PathLike[str]

Time = datetime | str
"""A time: a text as in RFC 3339, or a datetime; one without a zone is local."""

OnProgress = Callable[[Progress], None]
"""Called from one thread at a time, at most some ten times a second and at the end of a phase."""

_RESOURCE = re.compile(r"namespaces/[^:@/]+/assets/.*", re.DOTALL)  # no reference is like it
_NAMESPACE = re.compile(r"namespaces/[^/]+")


def reference(ref: Ref, field: str = "reference") -> Reference:
    """Read a reference to a version or to a path in one; by digest there is none."""
    if isinstance(ref, Reference):
        return ref
    selected = selector(ref, field)
    if selected.digest:
        raise InvalidArgumentError(
            "REFERENCE_INVALID", f"{shown(str(ref))} is not a reference", field=field
        )
    return Reference(
        selected.namespace, selected.asset, selected.number, selected.alias, path_of(ref)
    )


def selector(ref: Ref, field: str = "reference") -> VersionSelector:
    """Read which version is meant; the path, if there is one, is no part of it."""
    if isinstance(ref, VersionSelector):
        return ref
    if isinstance(ref, Reference):
        return ref.version
    if isinstance(ref, VersionName | Version):
        return VersionSelector.parse(ref.name if isinstance(ref, Version) else str(ref))
    if _is_reference(ref):
        return Reference.parse(ref, field=field).version
    return VersionSelector.parse(ref, field)


def numbered(ref: Ref, verb: str) -> VersionName:
    """Read a version that is named by its number, or refuse: what it means mustn't move."""
    one = selector(ref)
    if one.number is None or (isinstance(ref, str | Reference) and path_of(ref)):
        raise InvalidArgumentError(
            "REFERENCE_INVALID",
            f"{shown(str(ref))}: name the version to {verb} by its number, as in "
            f"{one.namespace}/{one.asset}:7",
            field="reference",
        )
    return VersionName(one.namespace, one.asset, one.number)


def path_of(ref: Ref) -> str:
    """Give the path in the version, or nothing."""
    if isinstance(ref, Reference):
        return ref.path
    return Reference.parse(ref).path if isinstance(ref, str) and _is_reference(ref) else ""


def asset_name(asset: AssetRef, field: str = "asset") -> AssetName:
    """Read which asset is meant; a version's reference is refused."""
    if isinstance(asset, AssetName):
        return asset
    if isinstance(asset, Asset):
        return AssetName.parse(asset.name)
    if isinstance(asset, str) and not _is_reference(asset):
        return AssetName.parse(asset, field)
    one = asset if isinstance(asset, Reference) else Reference.parse(asset, field=field)
    if one.number or one.alias or one.path or str(asset).endswith("@latest"):
        raise InvalidArgumentError(
            "REFERENCE_INVALID",
            f"{shown(str(asset))} names a version; name the asset, {one.namespace}/{one.asset}",
            field=field,
        )
    return AssetName(one.namespace, one.asset)


def alias_name(ref: str | Reference) -> AliasName:
    """Read which alias is meant: `churn@champion`, or its resource name."""
    if isinstance(ref, str) and not _is_reference(ref):
        return AliasName.parse(ref)
    one = ref if isinstance(ref, Reference) else Reference.parse(ref)
    if one.alias is None or one.path:
        raise InvalidArgumentError(
            "REFERENCE_INVALID",
            f"{shown(str(ref))} names no alias, as {one.namespace}/{one.asset}@champion does",
            field="reference",
        )
    return AliasName(one.namespace, one.asset, one.alias)


def namespace_name(name: str | Namespace) -> NamespaceName:
    """Read which namespace is meant: `fraud`, `fraud/`, its resource name, or its handle."""
    if isinstance(name, Namespace):
        return NamespaceName.parse(name.name)
    if _NAMESPACE.fullmatch(name):
        return NamespaceName.parse(name, "namespace")
    check_name(name.removesuffix("/"), "namespace")
    return NamespaceName(name.removesuffix("/"))


def resource_name(resource: Resource | None) -> str:
    """Give the name that the log knows something by; nothing is everything."""
    if resource is None:
        return ""
    if isinstance(resource, Namespace | Asset | Version):
        return resource.name
    if isinstance(resource, AssetName | VersionName | AliasName):
        return str(resource)
    if isinstance(resource, str):
        if _NAMESPACE.fullmatch(resource) or not _is_reference(resource):
            return resource
        if resource.endswith("/"):
            return str(namespace_name(resource))
    one = reference(resource)
    if one.number is not None:
        return str(VersionName(one.namespace, one.asset, one.number))
    return str(alias_name(one) if one.alias else AssetName(one.namespace, one.asset))


def _is_reference(ref: object) -> bool:
    """Tell a reference from a resource name: nothing is both."""
    return isinstance(ref, str) and not _RESOURCE.fullmatch(ref)
