"""AccessService."""

from modelkeep.errors import NotFoundError
from modelkeep.v1 import access_service_pb2 as pb
from modelkeep_server.records import principals
from modelkeep_server.records.records import Records
from modelkeep_server.values.call import Call

_ME = "principals/me"


class AccessService:
    """Who acts: people and services."""

    def __init__(self, records: Records) -> None:
        """Serve these records."""
        self._records = records

    def GetPrincipal(self, request: pb.GetPrincipalRequest, call: Call) -> pb.Principal:
        name = call.principal if request.name == _ME else request.name
        found = principals.find(self._records.read(), name)
        if found is not None:
            return found
        if request.name == _ME:
            return pb.Principal(name=call.principal, display_name=call.principal_name)
        raise NotFoundError(
            "RESOURCE_NOT_FOUND", f"{request.name} does not exist", resource=request.name
        )
