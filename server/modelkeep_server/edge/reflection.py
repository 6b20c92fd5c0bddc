"""Server reflection, so that `grpcurl` and its like need no proto files."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from modelkeep_server.values.call import Call

DESCRIPTOR = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
NAME = reflection.SERVICE_NAME


class ReflectionService:
    """grpcio's own reflection, within our edge."""

    def __init__(self, services: Iterable[str]) -> None:
        """Tell of these."""
        self._servicer = ReflectionServicer(services)

    async def ServerReflectionInfo(  # noqa: N802  # the contract's name
        self, requests: AsyncIterator[Any], call: Call
    ) -> AsyncIterator[Any]:
        """Answer questions about files and symbols."""
        async for answer in self._servicer.ServerReflectionInfo(requests, None):
            yield answer
