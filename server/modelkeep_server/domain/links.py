"""Links: URLs at which a version's files come from the blob store itself, past the server.

* A link is given where a download would be, by version and path, and never by digest.
* It can't be taken back: it holds until it expires, also where the version is deleted meanwhile.
* It goes to the caller, and into no log and no error.
"""

from collections.abc import Sequence

from modelkeep.errors import FailedPreconditionError
from modelkeep.names import VersionSelector
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore
from modelkeep_server.domain import downloads, resolve, versions
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.records import Records

SECONDS = 300
"""How long a link holds."""


def create(
    records: Records, store: BlobStore | None, selector: VersionSelector, paths: Sequence[str]
) -> pb.CreateDownloadLinksResponse:
    """Give a link to each of these files of a version; without a store, links are off."""
    session = records.read()
    version = resolve.version(session, selector)
    versions.check_content(version)
    response = pb.CreateDownloadLinksResponse()
    response.expire_time.FromMicroseconds(now_us() + SECONDS * 1_000_000)
    for index, path in enumerate(paths):
        blob = downloads.blob_of(session, version, selector, path, f"paths[{index}]")
        url = store.link(blob.key, SECONDS) if store else None
        if url is None:
            raise unavailable("DownloadFiles")
        response.links.add(path=path, url=url, digest=blob.digest, size=blob.size)
    return response


def unavailable(instead: str) -> FailedPreconditionError:
    """Say that all bytes pass this server."""
    return FailedPreconditionError(
        "LINKS_UNAVAILABLE", f"this server gives no links; use {instead}"
    )
