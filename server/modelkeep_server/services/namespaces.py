"""NamespaceService."""

from modelkeep.names import NamespaceName
from modelkeep.v1 import namespace_service_pb2 as pb
from modelkeep_server.domain import namespaces
from modelkeep_server.records import namespaces as rows
from modelkeep_server.records.records import Records
from modelkeep_server.services.paging import Paging
from modelkeep_server.values.call import Answer, Call


class NamespaceService:
    """Namespaces: the spaces of teams."""

    def __init__(self, records: Records) -> None:
        """Serve these records."""
        self._records = records

    def CreateNamespace(self, request: pb.CreateNamespaceRequest, call: Call) -> Answer:
        return namespaces.create(self._records, call, request.namespace_id, request.namespace)

    def GetNamespace(self, request: pb.GetNamespaceRequest, _call: Call) -> bytes:
        name = NamespaceName.parse(request.name)
        return namespaces.get(self._records.read(), name.namespace).message

    def ListNamespaces(self, request: pb.ListNamespacesRequest, call: Call) -> bytes:
        paging = Paging(self._records.pages, call, request)
        after = str(paging.after[0]) if paging.after else ""
        found = rows.page(self._records.read(), after, paging.limit)
        return paging.answer(([name], message) for name, message in found)

    def UpdateNamespace(self, request: pb.UpdateNamespaceRequest, call: Call) -> Answer:
        return namespaces.update(self._records, call, request.namespace, request.update_mask)
