"""The grpc.aio server: one address, its options, its start and its end."""

import asyncio
import socket
import time
from collections.abc import Iterable

from grpc import aio

from modelkeep_server.edge import health, reflection
from modelkeep_server.edge.handlers import Edge
from modelkeep_server.edge.health import HealthService
from modelkeep_server.edge.methods import Service, resolve
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.edge.reflection import ReflectionService
from modelkeep_server.values.capacity import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from modelkeep_server.values.start import StartError

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
    # Otherwise a second server on the same port would silently take half of the calls.
    ("grpc.so_reuseport", 0),
]


def _check_free(host: str, port: int) -> None:
    """Raise `OSError` where the address can't be had; grpc would say it to its own log alone."""
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)


class GrpcServer:
    """Serves services at an address, with health and reflection beside them."""

    def __init__(self, edge: Edge, services: Iterable[Service], metrics: Metrics) -> None:
        """Find every rpc's method and permission, or refuse to start. Inside the event loop."""
        services = list(services)
        names = [descriptor.full_name for descriptor, _ in services]
        self._edge = edge
        self._health = HealthService(names)
        public: list[Service] = [
            (health.DESCRIPTOR, self._health),
            (reflection.DESCRIPTOR, ReflectionService([*names, health.DESCRIPTOR.full_name])),
        ]
        methods = [*resolve(services, metrics), *resolve(public, metrics, public=True)]
        self._server = aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers((edge.handler(methods),))

    async def start(self, host: str, port: int) -> int:
        """Serve at this address, and answer the port, which for 0 is one that is free."""
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            _check_free(host, port)
            port = self._server.add_insecure_port(shown)
        except (OSError, RuntimeError) as problem:
            why = getattr(problem, "strerror", None) or "the address can't be used"
            raise StartError(
                f"can't listen on {shown}: {why}; choose another address with --listen"
            ) from None
        await self._server.start()
        return port

    async def stop(self, drain_seconds: float) -> None:
        """Refuse new calls, end streams, and give unary calls so long to end."""
        self._health.stop()
        self._edge.stop()
        end = time.monotonic() + drain_seconds
        while self._edge.running() and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
        await self._server.stop(CLOSING_SECONDS)
        self._edge.close()
