"""`grpc.health.v1`: whether the server, and each of its services, serves."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from grpc_health.v1 import health_pb2 as pb

from modelkeep.errors import NotFoundError
from modelkeep.names import shown
from modelkeep_server.values.call import Call

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["Health"]

_Status = pb.HealthCheckResponse


class HealthService:
    """Serves from its start until `stop`. On the event loop."""

    def __init__(self, services: Iterable[str]) -> None:
        """Answer for these, and for the server as a whole: the empty name."""
        self._services = {"", *services}
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Say from now on that nothing is served."""
        self._stopped.set()

    async def Check(self, request: pb.HealthCheckRequest, call: Call) -> pb.HealthCheckResponse:  # noqa: N802  # the contract's name
        """Tell how a service is."""
        if request.service not in self._services:
            raise NotFoundError(
                "RESOURCE_NOT_FOUND",
                f"there is no service {shown(request.service)}",
                resource=shown(request.service),
            )
        return self._now()

    async def List(self, request: pb.HealthListRequest, call: Call) -> pb.HealthListResponse:  # noqa: N802  # the contract's name
        """Tell how all services are."""
        now = self._now()
        return pb.HealthListResponse(statuses=dict.fromkeys(self._services, now))

    async def Watch(  # noqa: N802  # the contract's name
        self, request: pb.HealthCheckRequest, call: Call
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Tell how a service is, and again when that changes."""
        if request.service not in self._services:
            yield pb.HealthCheckResponse(status=_Status.SERVICE_UNKNOWN)
        elif not self._stopped.is_set():
            yield self._now()
        await self._stopped.wait()
        yield self._now()

    def _now(self) -> pb.HealthCheckResponse:
        stopped = self._stopped.is_set()
        return pb.HealthCheckResponse(status=_Status.NOT_SERVING if stopped else _Status.SERVING)
