"""AssetService."""

from modelkeep.names import AssetName, NamespaceName
from modelkeep.v1 import asset_service_pb2 as pb
from modelkeep_server.domain import assets, namespaces
from modelkeep_server.records import assets as rows
from modelkeep_server.records.records import Records
from modelkeep_server.services.paging import Paging
from modelkeep_server.values.call import Answer, Call

_ALL = "namespaces/-"


class AssetService:
    """Assets: what versions are versions of."""

    def __init__(self, records: Records) -> None:
        """Serve these records."""
        self._records = records

    def CreateAsset(self, request: pb.CreateAssetRequest, call: Call) -> Answer:
        namespace = NamespaceName.parse(request.parent, "parent").namespace
        name = AssetName(namespace, request.asset_id)
        return assets.create(self._records, call, name, request.asset)

    def GetAsset(self, request: pb.GetAssetRequest, _call: Call) -> bytes:
        return assets.get(self._records.read(), AssetName.parse(request.name)).answer()

    def ListAssets(self, request: pb.ListAssetsRequest, call: Call) -> bytes:
        session = self._records.read()
        prefix = "namespaces/"
        if request.parent != _ALL:
            namespaces.get(session, NamespaceName.parse(request.parent, "parent").namespace)
            prefix = f"{request.parent}/assets/"
        paging = Paging(self._records.pages, call, request)
        after = str(paging.after[0]) if paging.after else ""
        found = rows.page(session, prefix, request.kind, request.show_deleted, after, paging.limit)
        return paging.answer(([asset.resource], asset.answer()) for asset in found)

    def UpdateAsset(self, request: pb.UpdateAssetRequest, call: Call) -> Answer:
        return assets.update(self._records, call, request.asset, request.update_mask)

    def DeleteAsset(self, request: pb.DeleteAssetRequest, call: Call) -> Answer:
        return assets.delete(self._records, call, AssetName.parse(request.name), request.etag)

    def UndeleteAsset(self, request: pb.UndeleteAssetRequest, call: Call) -> Answer:
        return assets.undelete(self._records, call, AssetName.parse(request.name))
