"""ArtifactService."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from google.longrunning.operations_pb2 import Operation

from modelkeep.names import VersionSelector
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore
from modelkeep_server.domain import downloads, links, possession, receiving, sealing, upload_links
from modelkeep_server.records.records import Records
from modelkeep_server.values.call import Call


class ArtifactService:
    """Bytes: which are here, sending them, sealing a manifest of them, and taking them back."""

    def __init__(
        self, records: Records, store: BlobStore, max_uploads: int, *, gives_links: bool
    ) -> None:
        """Serve these records and blobs; one thread an upload makes its bytes durable."""
        self._records = records
        self._store = store
        self._linked = store if gives_links else None
        self._flusher = ThreadPoolExecutor(max_uploads, thread_name_prefix="flush")

    def FindMissingBlobs(
        self, request: pb.FindMissingBlobsRequest, call: Call
    ) -> pb.FindMissingBlobsResponse:
        missing = possession.find_missing(
            self._records, call, request.parent, list(request.digests)
        )
        return pb.FindMissingBlobsResponse(missing=missing)

    def UploadBlobs(
        self, requests: Iterator[pb.UploadBlobsRequest], call: Call
    ) -> Iterator[pb.UploadBlobsResponse]:
        return receiving.receive(self._records, self._store, self._flusher, call, requests)

    def SealManifest(self, request: pb.SealManifestRequest, _call: Call) -> Iterator[Operation]:
        return sealing.seal(self._records, self._store, request.parent, request.digest)

    def DownloadFiles(self, request: pb.DownloadFilesRequest, _call: Call) -> Iterator[bytes]:
        selector = VersionSelector.parse(request.version, "version")
        return downloads.download(self._records, self._store, selector, request.ranges)

    def CreateDownloadLinks(
        self, request: pb.CreateDownloadLinksRequest, _call: Call
    ) -> pb.CreateDownloadLinksResponse:
        selector = VersionSelector.parse(request.version, "version")
        return links.create(self._records, self._linked, selector, request.paths)

    def CreateUploadLinks(
        self, request: pb.CreateUploadLinksRequest, call: Call
    ) -> pb.CreateUploadLinksResponse:
        return upload_links.create(self._records, self._linked, call, request.parent, request.blobs)
