"""Assets: what versions are versions of."""

from collections.abc import Iterator, Mapping, Sequence

from modelkeep import _convert
from modelkeep import _convert_values as values
from modelkeep._client_base import Methods, changed, pages, request_id
from modelkeep._refs import AssetRef, asset_name, namespace_name
from modelkeep._types import Asset, Namespace
from modelkeep.v1 import asset_pb2
from modelkeep.v1 import asset_service_pb2 as pb


class AssetMethods(Methods):
    """Assets: what versions are versions of."""

    def asset(self, asset: AssetRef) -> Asset:
        """Get an asset, also a deleted one."""
        return _convert.asset(self._get_asset(str(asset_name(asset))))

    def assets(
        self, namespace: str | Namespace = "", *, kind: str = "", show_deleted: bool = False
    ) -> Iterator[Asset]:
        """List assets by name, of one namespace or of all; pages are fetched as you go."""
        request = pb.ListAssetsRequest(
            parent=str(namespace_name(namespace)) if namespace else "namespaces/-",
            kind=values.kind_value(kind),
            show_deleted=show_deleted,
            page_size=1000,
        )

        def fetch(token: str) -> tuple[list[Asset], str]:
            request.page_token = token
            page = self._wire.call(self._wire.assets.ListAssets, request)
            return [_convert.asset(item) for item in page.assets], page.next_page_token

        return pages(fetch)

    def create_asset(
        self,
        asset: AssetRef,
        *,
        kind: str = "",
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Asset:
        """Create an asset without versions, by default a model; `push` makes both at once."""
        name = asset_name(asset)
        request = pb.CreateAssetRequest(
            parent=str(name.parent),
            asset_id=name.asset,
            asset=asset_pb2.Asset(
                kind=values.kind_value(kind),
                display_name=values.text(display_name, "display_name"),
                description=values.text(description, "description"),
                labels=values.labels(labels),
            ),
            request_id=request_id(),
        )
        return _convert.asset(self._wire.call(self._wire.assets.CreateAsset, request))

    def update_asset(
        self,
        asset: AssetRef,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        remove_labels: Sequence[str] = (),
    ) -> Asset:
        """Change an asset's display name, description or labels, as `update` does a version's."""
        name = str(asset_name(asset))

        def change() -> Asset:
            now = self._get_asset(name)
            request = pb.UpdateAssetRequest(
                asset=asset_pb2.Asset(name=name, etag=now.etag), request_id=request_id()
            )
            values.fill(
                request.asset,
                request.update_mask,
                values.merged(now.labels, labels, remove_labels),
                display_name=display_name,
                description=description,
            )
            return _convert.asset(self._wire.call(self._wire.assets.UpdateAsset, request))

        return changed(change)

    def delete_asset(self, asset: AssetRef) -> Asset:
        """Delete an asset and so hide its versions, until it's undeleted or its time is over.

        Raises `FailedPreconditionError` `VERSION_HELD` where something needs one of them.
        """
        request = pb.DeleteAssetRequest(name=str(asset_name(asset)), request_id=request_id())
        return _convert.asset(self._wire.call(self._wire.assets.DeleteAsset, request))

    def undelete_asset(self, asset: AssetRef) -> Asset:
        """Take the deletion of an asset back."""
        request = pb.UndeleteAssetRequest(name=str(asset_name(asset)), request_id=request_id())
        return _convert.asset(self._wire.call(self._wire.assets.UndeleteAsset, request))

    def _get_asset(self, name: str) -> asset_pb2.Asset:
        return self._wire.call(self._wire.assets.GetAsset, pb.GetAssetRequest(name=name))
