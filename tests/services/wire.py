"""A namespace of a running server, spoken to with the generated stubs."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from google.longrunning.operations_pb2 import Operation
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from modelkeep.v1 import (
    access_service_pb2_grpc,
    admin_service_pb2_grpc,
    artifact_service_pb2_grpc,
    asset_pb2,
    asset_service_pb2,
    asset_service_pb2_grpc,
    evaluation_pb2,
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    monitoring_service_pb2,
    monitoring_service_pb2_grpc,
    namespace_pb2,
    namespace_service_pb2,
    namespace_service_pb2_grpc,
    operation_service_pb2_grpc,
    recipe_pb2,
    version_pb2,
    version_service_pb2,
    version_service_pb2_grpc,
)
from modelkeep.v1 import artifact_service_pb2 as artifacts

MIB = 1024 * 1024
SECONDS = 60.0


def digest(data: bytes) -> str:
    """Name bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest(files: Mapping[str, bytes | str]) -> bytes:
    """Write the manifest of files, given by their bytes or their digests."""
    return b"".join(
        f"{(value if isinstance(value, str) else digest(value)).removeprefix('sha256:')}  ".encode()
        + path.encode()
        + b"\n"
        for path, value in sorted(files.items(), key=lambda item: item[0].encode())
    )


def header(parent: str, name: str, size: int, offset: int = 0) -> artifacts.UploadBlobsRequest:
    """Begin a blob of an upload."""
    begin = artifacts.UploadHeader(parent=parent, digest=name, size=size, offset=offset)
    return artifacts.UploadBlobsRequest(header=begin)


def chunk(data: bytes) -> artifacts.UploadBlobsRequest:
    """Go on with a blob of an upload."""
    return artifacts.UploadBlobsRequest(chunk=data)


def pack(parent: str, *blobs: bytes) -> artifacts.UploadBlobsRequest:
    """Send small blobs whole."""
    packed = [artifacts.PackedBlob(digest=digest(blob), data=blob) for blob in blobs]
    return artifacts.UploadBlobsRequest(pack=artifacts.BlobPack(parent=parent, blobs=packed))


def chunks(data: bytes, size: int = MIB) -> Iterator[artifacts.UploadBlobsRequest]:
    """Cut a blob into messages."""
    for start in range(0, len(data), size):
        yield chunk(data[start : start + size])


@dataclass
class Refusal:
    """What an error said on the wire."""

    code: str = ""
    reason: str = ""
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    retry_seconds: float | None = None


def status(error: grpc.RpcError) -> Refusal:
    """Read an error: its code, and its details from the trailing metadata."""
    caught: Any = error
    raw = dict(caught.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    said = Status.FromString(raw)
    assert not raw or Code.Name(said.code) == caught.code().name
    return refusal_of(caught.code().name, said)


def refusal_of(code: str, said: Status) -> Refusal:
    """Read what the details of a status say."""
    refusal = Refusal(code=code, message=said.message)
    for detail in said.details:
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        if detail.Unpack(info):
            refusal.reason = info.reason
            refusal.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            refusal.fields = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            delay = retry.retry_delay
            refusal.retry_seconds = delay.seconds + delay.nanos / 1e9
    return refusal


@contextmanager
def refused(code: str, reason: str, *fields: str) -> Iterator[Refusal]:
    """Expect a call to be refused so; look at the rest afterwards."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    said = status(caught.value)
    assert (said.code, said.reason) == (code, reason), said
    if fields:
        assert said.fields == list(fields)
    for name in Refusal.__dataclass_fields__:
        setattr(refusal, name, getattr(said, name))


class UploadStream:
    """An upload, message by message."""

    def __init__(self, registry: "Registry") -> None:
        self._requests: SimpleQueue[artifacts.UploadBlobsRequest | None] = SimpleQueue()
        self._call: Any = registry.artifacts.UploadBlobs(
            iter(self._requests.get, None), timeout=SECONDS, metadata=registry.metadata
        )

    def send(self, *requests: artifacts.UploadBlobsRequest) -> None:
        """Send messages; their answers come when they come."""
        for request in requests:
            self._requests.put(request)

    def answer(self) -> artifacts.BlobProgress:
        """Wait for the next answer about one blob."""
        response: artifacts.UploadBlobsResponse = next(self._call)
        return response.blobs[0]

    def answers(self) -> list[artifacts.BlobProgress]:
        """End the stream, and take the answers that are left."""
        self._requests.put(None)
        return [blob for response in self._call for blob in response.blobs]

    def cancel(self) -> None:
        """Break the stream off."""
        self._call.cancel()
        self._requests.put(None)


class Registry:
    """A namespace of its own, and the verbs that most tests need."""

    def __init__(self, channel: grpc.Channel, namespace: str = "", user: str = "tester") -> None:
        self.channel = channel
        self.metadata = (("modelkeep-user", user),)
        self.access = access_service_pb2_grpc.AccessServiceStub(channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        self.artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
        self.assets = asset_service_pb2_grpc.AssetServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.monitoring = monitoring_service_pb2_grpc.MonitoringServiceStub(channel)
        self.namespaces = namespace_service_pb2_grpc.NamespaceServiceStub(channel)
        self.operations = operation_service_pb2_grpc.OperationServiceStub(channel)
        self.versions = version_service_pb2_grpc.VersionServiceStub(channel)
        self.name = f"namespaces/{namespace}" if namespace else self.make_namespace()

    def make_namespace(self, **fields: Any) -> str:
        """Make a namespace of a new name, and answer its resource name."""
        request = namespace_service_pb2.CreateNamespaceRequest(
            namespace_id=f"n{uuid.uuid4().hex[:12]}", namespace=namespace_pb2.Namespace(**fields)
        )
        return self.namespaces.CreateNamespace(request, metadata=self.metadata).name

    def beside(self, user: str = "tester") -> "Registry":
        """Give another namespace of the same server."""
        return Registry(self.channel, user=user)

    def as_user(self, user: str) -> "Registry":
        """Give the same namespace to someone else."""
        return Registry(self.channel, self.name.removeprefix("namespaces/"), user)

    def asset(self, name: str = "churn") -> str:
        """Name an asset of the namespace."""
        return f"{self.name}/assets/{name}"

    def version(self, selector: int | str, asset: str = "churn") -> str:
        """Name a version."""
        return f"{self.asset(asset)}/versions/{selector}"

    def alias(self, name: str, asset: str = "churn") -> str:
        """Name an alias."""
        return f"{self.asset(asset)}/aliases/{name}"

    # Bytes

    def missing(self, *digests: str, parent: str = "") -> dict[str, int]:
        """Tell which blobs are missing, and how much of each is here."""
        request = artifacts.FindMissingBlobsRequest(parent=parent or self.name, digests=digests)
        answer = self.artifacts.FindMissingBlobs(request, metadata=self.metadata)
        return {blob.digest: blob.durable_size for blob in answer.missing}

    def upload(
        self, requests: Iterable[artifacts.UploadBlobsRequest]
    ) -> list[artifacts.BlobProgress]:
        """Send messages of one stream, and collect its answers."""
        call = self.artifacts.UploadBlobs(iter(requests), timeout=SECONDS, metadata=self.metadata)
        return [blob for response in call for blob in response.blobs]

    def stream(self) -> UploadStream:
        """Open an upload, to be sent message by message."""
        return UploadStream(self)

    def push_blobs(self, *blobs: bytes, parent: str = "") -> None:
        """Send blobs, small ones in packs and large ones in chunks."""
        parent = parent or self.name
        small = [blob for blob in blobs if len(blob) <= MIB // 8]
        requests = [pack(parent, *small[at : at + 8]) for at in range(0, len(small), 8)]
        for blob in blobs:
            if len(blob) > MIB // 8:
                requests += [header(parent, digest(blob), len(blob)), *chunks(blob)]
        self.upload(requests)

    def seal_text(self, text: bytes, parent: str = "") -> list[Operation]:
        """Send a manifest as it is, and seal it."""
        self.push_blobs(text, parent=parent)
        request = artifacts.SealManifestRequest(parent=parent or self.name, digest=digest(text))
        return list(self.artifacts.SealManifest(request, timeout=SECONDS, metadata=self.metadata))

    def seal(self, files: Mapping[str, bytes], parent: str = "") -> str:
        """Send files and their manifest, seal it, and answer its digest."""
        self.push_blobs(*set(files.values()), parent=parent)
        text = manifest(files)
        assert self.seal_text(text, parent)[-1].done
        return digest(text)

    # Records

    def create(
        self,
        asset: str = "churn",
        files: Mapping[str, bytes] | str | None = None,
        *,
        recipe: recipe_pb2.Recipe | None = None,
        kind: asset_pb2.AssetKind.ValueType = asset_pb2.ASSET_KIND_UNSPECIFIED,
        aliases: Iterable[str] = (),
        if_changed: bool = False,
        request_id: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        **record: Any,
    ) -> version_pb2.Version:
        """Make a version, of files or of a sealed manifest's digest, and its asset if need be."""
        if files is None:
            files = {"model.bin": uuid.uuid4().bytes}
        request = version_service_pb2.CreateVersionRequest(
            parent=self.asset(asset),
            version=version_pb2.Version(
                record=version_pb2.VersionRecord(
                    digest=files if isinstance(files, str) else self.seal(files), **record
                ),
                description=description,
                labels=labels,
            ),
            recipe=recipe,
            kind=kind,
            create_asset=True,
            aliases=aliases,
            if_changed=if_changed,
            request_id=request_id,
        )
        return self.versions.CreateVersion(request, timeout=SECONDS, metadata=self.metadata)

    def get(self, selector: int | str, asset: str = "churn") -> version_pb2.Version:
        """Get a version as it is now."""
        return self.versions.GetVersion(
            version_service_pb2.GetVersionRequest(name=self.version(selector, asset))
        )

    def get_asset(self, asset: str = "churn") -> asset_pb2.Asset:
        """Get an asset."""
        return self.assets.GetAsset(asset_service_pb2.GetAssetRequest(name=self.asset(asset)))

    def evaluate(
        self, number: int = 1, asset: str = "churn", request_id: str = "", **fields: Any
    ) -> evaluation_pb2.Evaluation:
        """Keep an evaluation of a version."""
        request = monitoring_service_pb2.CreateEvaluationRequest(
            parent=self.version(number, asset),
            evaluation=evaluation_pb2.Evaluation(**fields),
            request_id=request_id,
        )
        return self.monitoring.CreateEvaluation(request, metadata=self.metadata)

    def set_alias(
        self, alias: str, number: int, asset: str = "churn", etag: str = "", request_id: str = ""
    ) -> Any:
        """Point an alias at a version."""
        return self.versions.SetAlias(
            version_service_pb2.SetAliasRequest(
                name=self.alias(alias, asset),
                version=self.version(number, asset),
                etag=etag,
                request_id=request_id,
            ),
            metadata=self.metadata,
        )

    def remove_alias(self, alias: str, asset: str = "churn", etag: str = "") -> Any:
        """Remove an alias."""
        request = version_service_pb2.RemoveAliasRequest(name=self.alias(alias, asset), etag=etag)
        return self.versions.RemoveAlias(request, metadata=self.metadata)

    def delete(self, number: int, asset: str = "churn", etag: str = "") -> version_pb2.Version:
        """Delete a version."""
        request = version_service_pb2.DeleteVersionRequest(
            name=self.version(number, asset), etag=etag
        )
        return self.versions.DeleteVersion(request, metadata=self.metadata)

    def undelete(self, number: int, asset: str = "churn") -> version_pb2.Version:
        """Take a version's deletion back."""
        request = version_service_pb2.UndeleteVersionRequest(name=self.version(number, asset))
        return self.versions.UndeleteVersion(request, metadata=self.metadata)

    def numbers(self, asset: str = "churn", **request: Any) -> list[int]:
        """List the numbers of an asset's versions, the first page."""
        answer = self.versions.ListVersions(
            version_service_pb2.ListVersionsRequest(parent=self.asset(asset), **request)
        )
        return [version.number for version in answer.versions]

    # The log

    def log(self, resource: str = "") -> list[event_pb2.Event]:
        """List the events of a resource, the namespace itself if none is named, oldest first."""
        found: list[event_pb2.Event] = []
        token = ""
        while True:
            page = self.events.ListEvents(
                event_service_pb2.ListEventsRequest(
                    resource=resource or self.name, page_size=1000, page_token=token
                )
            )
            found += page.events
            token = page.next_page_token
            if not token:
                return found[::-1]

    def acts(self, resource: str = "") -> list[str]:
        """List what happened to a resource, oldest first."""
        return [event.record.act for event in self.log(resource)]


def download(
    registry: Registry, name: str, *ranges: artifacts.FileRange | str, chunks: bool = False
) -> list[bytes]:
    """Download ranges or whole files of a version, and put their pieces together."""
    wanted = [artifacts.FileRange(path=item) if isinstance(item, str) else item for item in ranges]
    request = artifacts.DownloadFilesRequest(version=name, ranges=wanted)
    got = [bytearray() for _ in wanted]
    for response in registry.artifacts.DownloadFiles(request, timeout=SECONDS):
        for piece in response.chunks:
            whole = got[piece.range_index]
            assert piece.offset == wanted[piece.range_index].offset + len(whole)
            whole += piece.data
    return [bytes(whole) for whole in got]


def pages(call: Callable[[str], Any], items: str) -> list[list[Any]]:
    """Take a list's pages, one after another, until there is no token."""
    found: list[list[Any]] = []
    token = ""
    while True:
        page = call(token)
        found.append(list(getattr(page, items)))
        token = page.next_page_token
        if not token:
            return found
