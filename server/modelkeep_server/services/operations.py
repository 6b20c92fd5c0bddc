"""OperationService."""

import sys

from google.longrunning.operations_pb2 import Operation

from modelkeep.errors import NotFoundError
from modelkeep.v1 import operation_service_pb2 as pb
from modelkeep_server.domain.sealing import OPERATION_PREFIX, operation
from modelkeep_server.records import sealing
from modelkeep_server.records.records import Records
from modelkeep_server.services.paging import Paging
from modelkeep_server.values.call import Call


class OperationService:
    """Long work: how far it is and what came of it."""

    def __init__(self, records: Records) -> None:
        """Serve these records."""
        self._records = records

    def GetOperation(self, request: pb.GetOperationRequest, _call: Call) -> Operation:
        name = request.name.removeprefix(OPERATION_PREFIX)
        found = sealing.by_operation(self._records.read(), name)
        if found is None:
            raise NotFoundError(
                "RESOURCE_NOT_FOUND", f"{request.name} does not exist", resource=request.name
            )
        return operation(found)

    def ListOperations(self, request: pb.ListOperationsRequest, call: Call) -> bytes:
        paging = Paging(self._records.pages, call, request)
        below = int(paging.after[0]) if paging.after else sys.maxsize
        found = sealing.page(self._records.read(), request.parent, below, paging.limit)
        return paging.answer(([seal.id], operation(seal).SerializeToString()) for seal in found)
