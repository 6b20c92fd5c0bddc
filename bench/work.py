"""What modelkeep is asked to do, over its generated stubs, and how fast it does it."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from bench.bounds import MIB, seconds
from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1 import artifact_service_pb2_grpc, version_service_pb2_grpc
from modelkeep.v1 import version_service_pb2 as versions

PARENT = "namespaces/default"
OPTIONS = [("grpc.max_receive_message_length", 4 * MIB)]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Work:
    """One client of one server."""

    def __init__(self, address: str) -> None:
        """Connect."""
        self.address = address
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(self._channel)
        self._versions = version_service_pb2_grpc.VersionServiceStub(self._channel)

    def close(self) -> None:
        """Disconnect."""
        self._channel.close()

    def upload_rate(self, data: bytes) -> float:
        """Upload one blob that is not there yet; MiB/s."""
        name = digest(data)

        def requests() -> Iterator[artifacts.UploadBlobsRequest]:
            header = artifacts.UploadHeader(parent=PARENT, digest=name, size=len(data))
            yield artifacts.UploadBlobsRequest(header=header)
            for start in range(0, len(data), MIB):
                yield artifacts.UploadBlobsRequest(chunk=data[start : start + MIB])

        return len(data) / MIB / seconds(lambda: list(self._artifacts.UploadBlobs(requests())))

    def pack_rate(self, blobs: list[bytes]) -> float:
        """Upload small blobs, many to a message; files a second."""
        each = MIB // len(blobs[0])
        messages = [
            artifacts.UploadBlobsRequest(
                pack=artifacts.BlobPack(
                    parent=PARENT,
                    blobs=[
                        artifacts.PackedBlob(digest=digest(blob), data=blob)
                        for blob in blobs[start : start + each]
                    ],
                )
            )
            for start in range(0, len(blobs), each)
        ]
        return len(blobs) / seconds(lambda: list(self._artifacts.UploadBlobs(iter(messages))))

    def create(self, asset: str, data: bytes) -> versions.CreateVersionRequest:
        """Make a version of one file, and answer the request that makes another."""
        manifest = f"{digest(data)[7:]}  model.bin\n".encode()
        self.pack_rate([manifest])
        seal = artifacts.SealManifestRequest(parent=PARENT, digest=digest(manifest))
        list(self._artifacts.SealManifest(seal))
        request = versions.CreateVersionRequest(
            parent=f"{PARENT}/assets/{asset}", create_asset=True, aliases=["champion"]
        )
        request.version.record.digest = digest(manifest)
        request.version.record.metrics["auc"] = 0.93
        self._versions.CreateVersion(request)
        del request.aliases[:]
        return request

    def download_rate(self, asset: str) -> float:
        """Download a version's file and throw it away; MiB/s."""
        request = artifacts.DownloadFilesRequest(
            version=f"{PARENT}/assets/{asset}/versions/@champion",
            ranges=[artifacts.FileRange(path="model.bin")],
        )
        download: grpc.UnaryStreamMultiCallable[Any, bytes] = self._channel.unary_stream(
            "/modelkeep.v1.ArtifactService/DownloadFiles",
            request_serializer=artifacts.DownloadFilesRequest.SerializeToString,
        )
        return stream_rate(lambda: download(request))


def stream_rate(open_stream: Callable[[], Iterator[bytes]]) -> float:
    """Read a stream of serialized messages; MiB/s."""
    started = time.perf_counter()
    size = sum(len(message) for message in open_stream())
    return size / MIB / (time.perf_counter() - started)


def bare_stream_rate(address: str, size_mib: int) -> float:
    """Read a bare stream of 1 MiB messages; MiB/s."""
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        call: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/bare/Stream")
        return stream_rate(lambda: call(str(size_mib).encode()))


def get_rate(address: str, asset: str, calls: int) -> float:
    """Get a version by alias, 16 in flight; calls a second."""
    name = f"{PARENT}/assets/{asset}/versions/@champion"
    request = versions.GetVersionRequest(name=name).SerializeToString()
    method = "/modelkeep.v1.VersionService/GetVersion"
    return asyncio.run(_unary_rate(address, method, lambda: request, calls, in_flight=16))


def create_rate(address: str, request: versions.CreateVersionRequest, calls: int) -> float:
    """Create versions, 64 in flight, each durable when it is answered; calls a second."""

    def fresh() -> bytes:
        request.request_id = str(uuid.uuid4())
        return request.SerializeToString()

    method = "/modelkeep.v1.VersionService/CreateVersion"
    return asyncio.run(_unary_rate(address, method, fresh, calls, in_flight=64))


def empty_rate(address: str, calls: int, in_flight: int) -> float:
    """Call what does nothing; calls a second."""
    return asyncio.run(_unary_rate(address, "/bare/Empty", lambda: b"", calls, in_flight))


async def _unary_rate(
    address: str, method: str, request: Callable[[], bytes], calls: int, in_flight: int
) -> float:
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

        async def run(count: int) -> None:
            for _ in range(count):
                await call(request())

        await run(20)
        started = time.perf_counter()
        await asyncio.gather(*(run(calls // in_flight) for _ in range(in_flight)))
        return calls // in_flight * in_flight / (time.perf_counter() - started)
