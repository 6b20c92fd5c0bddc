"""OperationService."""

import sys
from collections.abc import Iterator
from itertools import chain

from google.longrunning.operations_pb2 import Operation

from modelkeep.errors import NotFoundError
from modelkeep.v1 import operation_service_pb2 as pb
from modelkeep_server.domain.operations import Operations
from modelkeep_server.domain.sealing import OPERATION_PREFIX, operation
from modelkeep_server.records import operations as rows
from modelkeep_server.records import sealing
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.services.paging import Entry, Paging
from modelkeep_server.values.call import Call

_ALL = sys.maxsize
# What a page's last entry was: those that were asked for come first.
_ASKED, _SEAL = "asked", "seal"


class OperationService:
    """Long work: how far it is and what came of it."""

    def __init__(self, records: Records, operations: Operations) -> None:
        """Serve these records' operations, and their seals."""
        self._records = records
        self._operations = operations

    def GetOperation(self, request: pb.GetOperationRequest, _call: Call) -> Operation:
        session = self._records.read()
        name = request.name.removeprefix(OPERATION_PREFIX)
        asked = rows.find(session, name)
        if asked is not None:
            return self._operations.describe(asked)
        seal = sealing.by_operation(session, name)
        if seal is None:
            raise NotFoundError(
                "RESOURCE_NOT_FOUND", f"{request.name} does not exist", resource=request.name
            )
        return operation(seal)

    def ListOperations(self, request: pb.ListOperationsRequest, call: Call) -> bytes:
        paging = Paging(self._records.pages, call, request)
        session = self._records.read()
        what, below = (str(paging.after[0]), int(paging.after[1])) if paging.after else ("", _ALL)
        seals = _ALL if what != _SEAL else below
        found = sealing.page(session, request.parent, seals, paging.limit)
        sealed: Iterator[Entry] = (
            ([_SEAL, seal.id], operation(seal).SerializeToString()) for seal in found
        )
        if what == _SEAL or request.parent:
            return paging.answer(sealed)
        return paging.answer(chain(self._asked(session, below, paging.limit), sealed))

    def CancelOperation(self, request: pb.CancelOperationRequest, call: Call) -> Operation:
        name = request.name.removeprefix(OPERATION_PREFIX)
        self._records.bookkeep(lambda tx: rows.cancel(tx, name))
        self._operations.wake()
        return self.GetOperation(pb.GetOperationRequest(name=request.name), call)

    def _asked(self, session: Session, below: int, limit: int) -> Iterator[Entry]:
        for found in rows.page(session, below, limit):
            yield [_ASKED, found.id], self._operations.describe(found).SerializeToString()
