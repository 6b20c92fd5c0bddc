"""The grpc.aio server: one address, its options, its start and its end."""

import asyncio
import time
from collections.abc import Iterable

from grpc import aio

from modelkeep_server.edge import health, ports, reflection
from modelkeep_server.edge.handlers import Edge
from modelkeep_server.edge.health import HealthService
from modelkeep_server.edge.methods import Service, resolve
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.edge.reflection import ReflectionService
from modelkeep_server.values.capacity import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES

POLL_SECONDS = 0.02
CLOSING_SECONDS = 2.0

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    # A soft limit below the hard one refuses requests by chance.
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", 400),
    ("grpc.http.overload_protection", 1),
    # What a stream may send before it is read. Probing let it grow without bound on a busy machine.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
    ("grpc.http2.ping_on_rst_stream_percent", 5),
    # At its default of 1,000, many of 5,000 watches opened at once died.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 40_000),
    # Balancers rebalance; what is under way then has the grace time, and resumes.
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 5 * 60 * 1000),
    # A client whose machine vanished is noticed; one that pings too often is not kept.
    ("grpc.keepalive_time_ms", 60 * 1000),
    ("grpc.keepalive_timeout_ms", 20 * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 20 * 1000),
    ("grpc.http2.max_ping_strikes", 2),
]


class GrpcServer:
    """Serves services at an address, with health and reflection beside them."""

    def __init__(
        self,
        edge: Edge,
        services: Iterable[Service],
        metrics: Metrics,
        *,
        shares_port: bool = False,
    ) -> None:
        """Find every rpc's method and permission, or refuse to start. Inside the event loop.

        A port is shared with processes of the same server, if at all: a second server at it would
        silently take half of the calls.
        """
        services = list(services)
        names = [descriptor.full_name for descriptor, _ in services]
        self._edge = edge
        self._health = HealthService(names)
        public: list[Service] = [
            (health.DESCRIPTOR, self._health),
            (reflection.DESCRIPTOR, ReflectionService([*names, health.DESCRIPTOR.full_name])),
        ]
        methods = [*resolve(services, metrics), *resolve(public, metrics, public=True)]
        self._shares_port = shares_port
        self._server = aio.server(options=[*OPTIONS, ("grpc.so_reuseport", int(shares_port))])
        self._server.add_generic_rpc_handlers((edge.handler(methods),))

    async def start(self, host: str, port: int) -> int:
        """Serve at this address, and answer the port, which for 0 is one that is free."""
        with ports.told(host, port):
            if not self._shares_port:
                ports.check_free(host, port)
            port = self._server.add_insecure_port(ports.shown(host, port))
        await self._server.start()
        return port

    async def stop(self, drain_seconds: float) -> None:
        """Refuse new calls, end streams, and give unary calls so long to end.

        Connections are given notice at once, so that whoever is refused goes to another server.
        """
        self._health.stop()
        self._edge.stop()
        notice = asyncio.create_task(self._server.stop(drain_seconds + CLOSING_SECONDS))
        end = time.monotonic() + drain_seconds
        while self._edge.running() and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
        await self._server.stop(CLOSING_SECONDS)
        await notice
        self._edge.close()
