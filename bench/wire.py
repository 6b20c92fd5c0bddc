"""What modelkeep is asked to do, over its generated stubs."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from bench.bounds import MIB
from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1 import artifact_service_pb2_grpc, version_service_pb2_grpc
from modelkeep.v1 import version_service_pb2 as versions

PARENT = "namespaces/default"
OPTIONS = [("grpc.max_receive_message_length", 4 * MIB)]
FILE = "model.bin"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Payload:
    """Bytes that nothing else has, made as they are read: a million of them are no memory."""

    def __init__(self, size_mib: int) -> None:
        """Have so many MiB."""
        self.size = size_mib * MIB
        self._block = os.urandom(MIB - 8)
        hasher = hashlib.sha256()
        for chunk in self:
            hasher.update(chunk)
        self.digest = f"sha256:{hasher.hexdigest()}"

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self.size // MIB):
            yield number.to_bytes(8) + self._block


class Work:
    """One client of one server, in a `with` block."""

    def __init__(self, address: str) -> None:
        """Connect."""
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(self._channel)
        self.versions = version_service_pb2_grpc.VersionServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def upload(self, data: Payload) -> None:
        """Upload a blob in chunks of 1 MiB."""

        def requests() -> Iterator[artifacts.UploadBlobsRequest]:
            header = artifacts.UploadHeader(parent=PARENT, digest=data.digest, size=data.size)
            yield artifacts.UploadBlobsRequest(header=header)
            for chunk in data:
                yield artifacts.UploadBlobsRequest(chunk=chunk)

        list(self._artifacts.UploadBlobs(requests()))

    def send_packs(self, messages: Iterable[artifacts.UploadBlobsRequest]) -> None:
        """Upload what `packs` made."""
        list(self._artifacts.UploadBlobs(iter(messages)))

    def create(self, asset: str, blob: str) -> versions.CreateVersionRequest:
        """Make an uploaded blob a version, and answer the request that makes another."""
        manifest = f"{blob.removeprefix('sha256:')}  {FILE}\n".encode()
        self.send_packs(packs([manifest]))
        seal = artifacts.SealManifestRequest(parent=PARENT, digest=digest(manifest))
        list(self._artifacts.SealManifest(seal))
        request = versions.CreateVersionRequest(
            parent=f"{PARENT}/assets/{asset}", create_asset=True, aliases=["champion"]
        )
        request.version.record.digest = digest(manifest)
        request.version.record.metrics["auc"] = 0.93
        self.versions.CreateVersion(request)
        del request.aliases[:]
        return request

    def create_small(self, asset: str) -> versions.CreateVersionRequest:
        """Make a version of one small file, and answer the request that makes another."""
        data = asset.encode()
        self.send_packs(packs([data]))
        return self.create(asset, digest(data))

    def download(self, asset: str) -> int:
        """Download a version's file and throw it away; answer how many bytes came."""
        request = artifacts.DownloadFilesRequest(
            version=f"{PARENT}/assets/{asset}/versions/@champion",
            ranges=[artifacts.FileRange(path=FILE)],
        )
        call: grpc.UnaryStreamMultiCallable[Any, bytes] = self._channel.unary_stream(
            "/modelkeep.v1.ArtifactService/DownloadFiles",
            request_serializer=artifacts.DownloadFilesRequest.SerializeToString,
        )
        return sum(len(message) for message in call(request))


def packs(blobs: list[bytes]) -> list[artifacts.UploadBlobsRequest]:
    """Put small blobs of one size into messages of at most 1 MiB."""
    each = MIB // len(blobs[0])
    return [
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
