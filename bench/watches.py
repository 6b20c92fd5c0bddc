"""Watches: what idle ones cost, and how soon an event reaches all of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from bench import servers
from bench.rows import Row
from bench.scene import Scene
from bench.servers import Running
from bench.wire import PARENT, Work
from modelkeep.v1 import event_service_pb2 as events
from modelkeep_server.edge.server import OPTIONS

CREATE = "/modelkeep.v1.VersionService/CreateVersion"
METHOD = "/modelkeep.v1.EventService/WatchEvents"
A_CONNECTION = dict(OPTIONS)["grpc.max_concurrent_streams"]  # as many as the server allows
SETTLE_SECONDS = 2.0

Watch = grpc.aio.UnaryStreamCall[bytes, bytes]


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    few, many = scene.amount(1_000, 200), scene.amount(10_000, 1_000)
    it = _Watches(scene)
    return [
        Row(f"{few:,} watches", "memory above rest", "MiB", 40, lambda: it.memory(few), rounds=3),
        Row(
            f"{many:,} watches", "memory above rest", "MiB", 300, lambda: it.memory(many), rounds=3
        ),
        Row(f"event to {few:,} watches", "from its write, p99", "ms", 100, lambda: it.event(few)),
    ]


class _Watches:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def memory(self, count: int) -> float:
        """Open watches and let them be; tell by how much the server grew."""

        async def run(server: Running) -> float:
            before = servers.memory_mib(server.pid)
            async with _open(server.address, count, PARENT):
                await asyncio.sleep(SETTLE_SECONDS)
                return servers.memory_mib(server.pid) - before

        with servers.modelkeep(self._folder()) as server:
            return asyncio.run(run(server))

    def event(self, count: int) -> float:
        """Make versions, one after another; tell in how many ms a watch has the event."""
        with servers.modelkeep(self._folder()) as server, Work(server.address) as work:
            request = work.create_small("watched").SerializeToString()
            return asyncio.run(_delays(server.address, request, count, self._scene.amount(20, 3)))

    def _folder(self) -> Path:
        return self._scene.folder() / "data"


async def _delays(address: str, request: bytes, count: int, acts: int) -> float:
    delays: list[float] = []
    async with (
        grpc.aio.insecure_channel(address) as channel,
        _open(address, count, PARENT) as watches,
    ):
        create: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CREATE)
        for _ in range(acts):
            began = time.perf_counter()

            async def arrival(watch: Watch, began: float = began) -> None:
                await watch.read()
                delays.append(time.perf_counter() - began)

            await asyncio.gather(create(request), *(arrival(watch) for watch in watches))
    return sorted(delays)[len(delays) * 99 // 100] * 1_000


@asynccontextmanager
async def _open(address: str, count: int, resource: str) -> AsyncIterator[list[Watch]]:
    """Open watches, and give them once the server has answered each."""
    request = events.WatchEventsRequest(resource=resource).SerializeToString()
    channels = [
        grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(-(-count // A_CONNECTION))
    ]
    opened: list[grpc.aio.UnaryStreamMultiCallable[bytes, bytes]] = [
        channel.unary_stream(METHOD) for channel in channels
    ]
    watches = [opened[number // A_CONNECTION](request) for number in range(count)]
    await asyncio.gather(*(watch.read() for watch in watches))
    yield watches
    for watch in watches:
        watch.cancel()
    for channel in channels:
        await channel.close()
