"""Long work: asking for it, and how far it is."""

import time
from collections.abc import Iterator

from google.longrunning import operations_pb2

from modelkeep import _convert_operations as convert
from modelkeep._client_base import Methods, pages, request_id
from modelkeep._types import Operation
from modelkeep.v1 import admin_service_pb2
from modelkeep.v1 import operation_service_pb2 as pb

_POLL_SECONDS = (0.05, 1.0)  # the first time, and in the end


class OperationMethods(Methods):
    """Long work: asking for it, and how far it is."""

    def collect_garbage(self, *, dry_run: bool = False) -> Operation:
        """Have the server delete the bytes that nothing refers to any more; `wait` for the end.

        With `dry_run` nothing is changed, and the operation tells what would be.
        """
        request = admin_service_pb2.CollectGarbageRequest(dry_run=dry_run, request_id=request_id())
        return convert.operation(self._wire.call(self._wire.admin.CollectGarbage, request))

    def verify_registry(self, *, read_data: bool = False, subset: str = "") -> Operation:
        """Have the server check that all that is stored is whole; `wait` for the end.

        With `read_data` every stored byte is read too; `subset` is `N/T` for the N-th of T shares.
        """
        request = admin_service_pb2.VerifyRegistryRequest(
            read_data=read_data, subset=subset, request_id=request_id()
        )
        return convert.operation(self._wire.call(self._wire.admin.VerifyRegistry, request))

    def operation(self, name: str | Operation) -> Operation:
        """Get an operation as it is now."""
        return convert.operation(self._get_operation(_name(name)))

    def operations(self) -> Iterator[Operation]:
        """List operations, the latest first, and then seals; pages are fetched as you go."""

        def fetch(token: str) -> tuple[list[Operation], str]:
            request = pb.ListOperationsRequest(page_token=token, page_size=100)
            page = self._wire.call(self._wire.operations.ListOperations, request)
            return [convert.operation(one) for one in page.operations], page.next_page_token

        return pages(fetch)

    def cancel_operation(self, name: str | Operation) -> Operation:
        """Ask an operation to end; what it has done stays done."""
        request = pb.CancelOperationRequest(name=_name(name))
        return convert.operation(self._wire.call(self._wire.operations.CancelOperation, request))

    def wait(self, operation: str | Operation) -> Operation:
        """Give an operation once it is done: its `error` says whether it came to nothing.

        It goes on whether or not anyone waits.
        """
        delay, longest = _POLL_SECONDS
        while not (found := self.operation(operation)).done:
            time.sleep(delay)
            delay = min(2 * delay, longest)
        return found

    def _get_operation(self, name: str) -> operations_pb2.Operation:
        request = pb.GetOperationRequest(name=name)
        return self._wire.call(self._wire.operations.GetOperation, request)


def _name(operation: str | Operation) -> str:
    name = operation if isinstance(operation, str) else operation.name
    return name if name.startswith("operations/") else f"operations/{name}"
