"""A new namespace of a real server, asked in the model's words."""

import uuid
from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from tests.services.wire import Registry, manifest, pack, pages
from tests.truth.requests import CONTENTS, DIGESTS, Requests
from tests.truth.symbols import Symbols
from tests.truth.things import ANY, NONE_YET, STALE

from modelkeep.v1 import asset_service_pb2 as assets
from modelkeep.v1 import version_service_pb2 as versions
from modelkeep.v1.artifact_service_pb2 import SealManifestRequest

_SECONDS = 60


class Driver:
    """The namespace, and the clients that speak to it."""

    def __init__(self, clients: Mapping[str, Registry]) -> None:
        self._first = next(iter(clients.values()))
        self.name = self._first.make_namespace()
        self.symbols = Symbols(self.name)
        self._clients = {
            user: Registry(client.channel, self.name.removeprefix("namespaces/"), user)
            for user, client in clients.items()
        }

    def push(self, content: str) -> None:
        """Send a content and seal it."""
        client = next(iter(self._clients.values()))
        text = manifest(CONTENTS[content])
        client.upload([pack(client.name, *CONTENTS[content].values(), text)])
        sealing = SealManifestRequest(parent=client.name, digest=DIGESTS[content])
        assert list(client.artifacts.SealManifest(sealing, timeout=_SECONDS))[-1].done

    def write(
        self, user: str, method: str, request_id: str, args: Mapping[str, Any]
    ) -> tuple[Any, str]:
        """Make a write: its answer, and the id of its event where it had one."""
        client = self._clients[user]
        stub, request = getattr(Requests(client, self._etag), method)(**args)
        request.request_id = self.request_id(request_id)
        answer, call = stub.with_call(request, metadata=client.metadata, timeout=_SECONDS)
        return answer, dict(call.trailing_metadata()).get("modelkeep-event-id", "")

    def request_id(self, name: str) -> str:
        """Give a request id of the model as a UUID that no other sequence has."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}/{name}")) if name else ""

    def get(self, user: str, asset: str, selector: str | int, at: Timestamp | None = None) -> Any:
        """Get a version, now or as of a time."""
        client = self._clients[user]
        name = client.version(DIGESTS.get(str(selector), selector), asset)
        request = versions.GetVersionRequest(name=name, as_of_time=at)
        return client.versions.GetVersion(request, timeout=_SECONDS)

    def get_recipe(self, user: str, asset: str, selector: str | int) -> Any:
        """Get a version's recipe."""
        client = self._clients[user]
        name = client.version(DIGESTS.get(str(selector), selector), asset)
        return client.versions.GetRecipe(versions.GetRecipeRequest(name=name), timeout=_SECONDS)

    def get_alias(self, user: str, asset: str, alias: str) -> Any:
        """Get an alias."""
        client = self._clients[user]
        request = versions.GetAliasRequest(name=client.alias(alias, asset))
        return client.versions.GetAlias(request, timeout=_SECONDS)

    def get_asset(self, user: str, asset: str) -> Any:
        """Get an asset."""
        return self._clients[user].get_asset(asset)

    def listed(self, user: str, what: str, asset: str, size: int = 0, **fields: Any) -> list[Any]:
        """Take a list of an asset, or of the namespace, in pages, and hold them to their size."""
        client = self._clients[user]
        lists: dict[str, tuple[Any, Any]] = {
            "assets": (client.assets.ListAssets, assets.ListAssetsRequest),
            "versions": (client.versions.ListVersions, versions.ListVersionsRequest),
            "aliases": (client.versions.ListAliases, versions.ListAliasesRequest),
            "alias_changes": (client.versions.ListAliasChanges, versions.ListAliasChangesRequest),
        }
        call, kind = lists[what]
        parent = client.asset(asset) if asset else client.name
        found = pages(
            lambda token: call(kind(parent=parent, page_size=size, page_token=token, **fields)),
            what,
        )
        assert all(len(page) == size for page in found[:-1]), "a page is short"
        assert len(found[-1]) <= (size or 50), "a page is long"
        return [item for page in found for item in page]

    def log(self) -> list[Any]:
        """Give the namespace's events, the oldest first; the first made the namespace."""
        return self._first.log(self.name)

    def _etag(self, resource: str, etag: int) -> str:
        known = {ANY: "", NONE_YET: "-", STALE: "r0"}
        return known[etag] if etag in known else self.symbols.etag(resource, etag)
