"""The checks that servers make of themselves, as the tests ask for them."""

from google.longrunning.operations_pb2 import Operation
from tests.collecting import finished
from tests.services.wire import Registry

from modelkeep.v1.admin_service_pb2 import (
    Checked,
    VerifyRegistryMetadata,
    VerifyRegistryRequest,
    VerifyRegistryResponse,
)
from modelkeep.v1.operation_service_pb2 import GetOperationRequest


def begin_check(
    r: Registry, *, read_data: bool = True, subset: str = "", request_id: str = ""
) -> Operation:
    """Ask for a check."""
    request = VerifyRegistryRequest(read_data=read_data, subset=subset, request_id=request_id)
    return r.admin.VerifyRegistry(request, metadata=r.metadata)


def outcome(r: Registry, operation: Operation) -> VerifyRegistryResponse:
    """Wait for its end, and tell what came of it."""
    ended = finished(r, operation)
    answer = VerifyRegistryResponse()
    assert ended.response.Unpack(answer), ended
    return answer


def checked(r: Registry, *, read_data: bool = True, subset: str = "") -> VerifyRegistryResponse:
    """Have a registry checked, and tell what came of it."""
    return outcome(r, begin_check(r, read_data=read_data, subset=subset))


def found(answer: VerifyRegistryResponse) -> list[tuple[str, str, str]]:
    """List what was found."""
    return [(one.what, one.resource, one.text) for one in answer.findings]


def so_far(r: Registry, operation: Operation) -> Checked:
    """Tell how far it is."""
    answer = VerifyRegistryMetadata()
    request = GetOperationRequest(name=operation.name)
    assert r.operations.GetOperation(request).metadata.Unpack(answer)
    return answer.checked
