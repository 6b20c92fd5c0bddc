"""All that a registry answers, so that two registries can be compared.

What differs between two runs of one act is left out: times, and what has random bytes or a time in
it. Revisions, positions, numbers and the digests of what downloads bring are in.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from tests.services.wire import Registry, digest, download, pages

from modelkeep.v1 import (
    asset_service_pb2,
    event_service_pb2,
    monitoring_service_pb2,
    namespace_service_pb2,
    version_pb2,
    version_service_pb2,
)

_DIFFERS = {"event_id", "record_digest", "before_hash", "after_hash", "reason_hash"}


def state(r: Registry) -> list[Any]:
    """Ask for everything."""
    return list(_everything(r))


def comparable(message: Message) -> Any:
    """Make a message into what is the same in every run."""
    return _strip(MessageToDict(message, preserving_proto_field_name=True))


def content(r: Registry, version: str) -> dict[str, str]:
    """Download a version, and give the digest of each file's bytes."""
    request = version_service_pb2.ListFilesRequest(parent=version)
    paths = [file.path for file in _all(r.versions.ListFiles, request, "files")]
    return dict(zip(paths, map(digest, download(r, version, *paths)), strict=True))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _strip(item)
            for key, item in value.items()
            if key not in _DIFFERS and not key.lower().endswith(("time", "_salt"))
        }
    return [_strip(item) for item in value] if isinstance(value, list) else value


def _everything(r: Registry) -> Iterator[Any]:
    everywhere = namespace_service_pb2.ListNamespacesRequest()
    for namespace in _all(r.namespaces.ListNamespaces, everywhere, "namespaces"):
        yield comparable(namespace)
        request = asset_service_pb2.ListAssetsRequest(parent=namespace.name, show_deleted=True)
        for asset in _all(r.assets.ListAssets, request, "assets"):
            yield comparable(asset)
            if not asset.HasField("delete_time"):
                yield from _of_asset(r, asset.name)
    for event in _all(r.events.ListEvents, event_service_pb2.ListEventsRequest(), "events"):
        yield comparable(event)


def _of_asset(r: Registry, parent: str) -> Iterator[Any]:
    v = version_service_pb2
    aliases = v.ListAliasesRequest(parent=parent)
    changes = v.ListAliasChangesRequest(parent=parent)
    versions = v.ListVersionsRequest(parent=parent, show_deleted=True)
    yield from map(comparable, _all(r.versions.ListAliases, aliases, "aliases"))
    yield from map(comparable, _all(r.versions.ListAliasChanges, changes, "alias_changes"))
    evaluations = monitoring_service_pb2.ListEvaluationsRequest(parent=parent)
    yield from map(comparable, _all(r.monitoring.ListEvaluations, evaluations, "evaluations"))
    for version in _all(r.versions.ListVersions, versions, "versions"):
        yield comparable(version)
        yield _content_if_live(r, version)


def _content_if_live(r: Registry, version: version_pb2.Version) -> dict[str, str]:
    return {} if version.HasField("delete_time") else content(r, version.name)


def _all(method: Any, request: Any, items: str) -> Iterator[Any]:
    """Yield the resources of all pages."""

    def call(token: str) -> Any:
        request.page_token = token
        return method(request)

    for page in pages(call, items):
        yield from page
