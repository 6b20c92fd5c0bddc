"""Aliases: pointers that move."""

from collections.abc import Iterator

from modelkeep import _convert
from modelkeep._client_base import Methods, pages, request_id
from modelkeep._refs import AssetRef, Ref, alias_name, asset_name
from modelkeep._types import Alias, AliasChange
from modelkeep.names import AliasName, Reference, check_alias
from modelkeep.v1 import version_service_pb2 as pb


class AliasMethods(Methods):
    """Aliases: pointers that move."""

    def alias(self, ref: str | Reference) -> Alias:
        """Get an alias by its reference, `churn@champion`."""
        request = pb.GetAliasRequest(name=str(alias_name(ref)))
        return _convert.alias(self._wire.call(self._wire.versions.GetAlias, request))

    def aliases(self, asset: AssetRef) -> Iterator[Alias]:
        """List an asset's aliases by name; pages are fetched as you go."""
        parent = str(asset_name(asset))

        def fetch(token: str) -> tuple[list[Alias], str]:
            request = pb.ListAliasesRequest(parent=parent, page_token=token, page_size=1000)
            page = self._wire.call(self._wire.versions.ListAliases, request)
            return [_convert.alias(item) for item in page.aliases], page.next_page_token

        return pages(fetch)

    def set_alias(self, ref: Ref, name: str, *, etag: str = "") -> Alias:
        """Point an alias at a version: `set_alias("churn:7", "champion")`.

        `production` is that stage's pointer: the version goes into production, and the one
        before it is archived. `etag` is the alias's as you know it, or `-` where it mustn't
        exist yet; where it's another by now, that is an `AbortedError` `ETAG_MISMATCH`.
        """
        check_alias(name, "name")
        version = self._number(ref)
        request = pb.SetAliasRequest(
            name=str(AliasName(version.namespace, version.asset, name)),
            version=str(version),
            etag=etag,
            request_id=request_id(),
        )
        return _convert.alias(self._wire.call(self._wire.versions.SetAlias, request))

    def remove_alias(self, ref: str | Reference, *, etag: str = "") -> Alias:
        """Remove an alias, `churn@champion`; removing `production` archives its version."""
        request = pb.RemoveAliasRequest(
            name=str(alias_name(ref)), etag=etag, request_id=request_id()
        )
        return _convert.alias(self._wire.call(self._wire.versions.RemoveAlias, request))

    def alias_changes(self, asset: AssetRef, *, alias: str = "") -> Iterator[AliasChange]:
        """List the moves of an asset's aliases, or of one of them, the latest first."""
        parent = str(asset_name(asset))

        def fetch(token: str) -> tuple[list[AliasChange], str]:
            request = pb.ListAliasChangesRequest(
                parent=parent, alias=alias, page_token=token, page_size=1000
            )
            page = self._wire.call(self._wire.versions.ListAliasChanges, request)
            changes = [_convert.alias_change(item) for item in page.alias_changes]
            return changes, page.next_page_token

        return pages(fetch)
