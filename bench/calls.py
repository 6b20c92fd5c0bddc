"""Calls of one answer, many in flight: reads, lists, creates."""

import asyncio
import time
import uuid
from collections.abc import Callable
from functools import cached_property

import grpc

from bench.rows import Row
from bench.scene import Scene
from bench.servers import Running
from bench.wire import OPTIONS, Work
from modelkeep.v1 import version_service_pb2 as versions

SERVICE = "/modelkeep.v1.VersionService"
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
WRITERS = 32
LIST = 100


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    it = Calls(scene, lambda: scene.kept)
    rate, empty = "calls/s", "an empty rpc"
    return [
        Row("get", empty, rate, 0.80, it.get, lambda: it.empty(16)),
        Row(
            "list 100",
            "a bare rpc of as many bytes",
            rate,
            0.40,
            it.list_versions,
            it.as_many_bytes,
        ),
        Row("create", empty, rate, 0.40, it.create, lambda: it.empty(64)),
        Row("numbers", empty, rate, 0.40, it.numbers, lambda: it.empty(WRITERS, WRITERS)),
        Row("numbers, fairness", "the fastest writer's count", "", 0.8, it.fairness, lambda: 1),
    ]


class Calls:
    """Calls of a server, about an asset of a hundred versions; calls a second."""

    def __init__(self, scene: Scene, server: Callable[[], Running]) -> None:
        self._scene, self._server = scene, server
        self._seconds = scene.amount(2.0, 0.5)

    @property
    def _address(self) -> str:
        return self._server().address

    @cached_property
    def _work(self) -> Work:
        return self._scene.parts.enter_context(Work(self._address))

    @cached_property
    def _request(self) -> versions.CreateVersionRequest:
        """What makes another version, once there are a hundred."""
        request = self._work.create_small("calls")
        for _ in range(LIST):
            self._work.versions.CreateVersion(request)
        return request

    @cached_property
    def get_request(self) -> bytes:
        """What asks for a version by its alias."""
        name = f"{self._request.parent}/versions/@champion"
        return versions.GetVersionRequest(name=name).SerializeToString()

    def get(self) -> float:
        """Get a version by its alias."""
        request = self.get_request
        return self._rate("GetVersion", lambda: request, 16)

    def list_versions(self) -> float:
        """List all."""
        return self._rate("ListVersions", self._list_request.SerializeToString, 16)

    @cached_property
    def _list_request(self) -> versions.ListVersionsRequest:
        return versions.ListVersionsRequest(parent=self._request.parent, page_size=LIST)

    @cached_property
    def _list_size(self) -> int:
        return self._work.versions.ListVersions(self._list_request).ByteSize()

    def as_many_bytes(self) -> float:
        """Call a bare server for as many bytes as a list has."""
        size = str(self._list_size).encode()
        return rate(self._scene.bare.address, "/bare/Bytes", lambda: size, 16, self._seconds)

    def create(self) -> float:
        """Make versions of it."""
        return self._rate("CreateVersion", self._fresh(self._request), 64)

    def numbers(self) -> float:
        """Make versions of it, by writers with connections of their own."""
        return sum(self._numbers()) / self._seconds

    def fairness(self) -> float:
        """Give what the slowest writer got over what the fastest got."""
        each = self._numbers()
        return min(each) / max(each)

    def _numbers(self) -> list[int]:
        request, method = self._fresh(self._request), f"{SERVICE}/CreateVersion"
        return counts(self._address, method, request, WRITERS, self._seconds, WRITERS)

    def empty(self, in_flight: int, channels: int = 1) -> float:
        """Call a bare server."""
        address = self._scene.bare.address
        return rate(address, "/bare/Empty", lambda: b"", in_flight, self._seconds, channels)

    def _rate(self, method: str, request: Callable[[], bytes], in_flight: int) -> float:
        return rate(self._address, f"{SERVICE}/{method}", request, in_flight, self._seconds)

    def _fresh(self, request: versions.CreateVersionRequest) -> Callable[[], bytes]:
        def fresh() -> bytes:
            request.request_id = str(uuid.uuid4())
            return request.SerializeToString()

        return fresh


def rate(
    address: str,
    method: str,
    request: Callable[[], bytes],
    in_flight: int,
    seconds: float,
    channels: int = 1,
) -> float:
    """Call for so long, so many in flight; calls a second."""
    return sum(counts(address, method, request, in_flight, seconds, channels)) / seconds


def counts(
    address: str,
    method: str,
    request: Callable[[], bytes],
    in_flight: int,
    seconds: float,
    channels: int = 1,
) -> list[int]:
    """Call for so long; tell how many answers each of the callers had."""

    async def run() -> list[int]:
        opened = [
            grpc.aio.insecure_channel(address, options=[*OPTIONS, OWN_CONNECTION])
            for _ in range(channels)
        ]
        calls: list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = [
            channel.unary_unary(method) for channel in opened
        ]
        await asyncio.gather(*(call(request()) for call in calls))
        end = time.perf_counter() + seconds

        async def caller(number: int) -> int:
            done = 0
            while True:
                await calls[number % channels](request())
                if time.perf_counter() > end:
                    return done
                done += 1

        answers = await asyncio.gather(*(caller(number) for number in range(in_flight)))
        for channel in opened:
            await channel.close()
        return answers

    return asyncio.run(run())
