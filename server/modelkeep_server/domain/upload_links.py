"""Links for uploads: URLs at which a client puts a blob's bytes into the blob store itself.

* What comes is a part like any other: it has a row before there is a link, so nothing takes it away
  but what takes parts away, and nobody reads it.
* Only the bytes of the digest fit a link. That is the store's word; before anyone sees a blob, its
  bytes are read back and hashed as those of any part that others had a hand in. By then a link
  leads nowhere any more.
* No lease is held for a link: whoever begins the blob anew drops what came by it.
"""

from collections.abc import Sequence

from modelkeep.errors import InvalidArgumentError
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore, UploadLink
from modelkeep_server.domain import links, possession
from modelkeep_server.domain.uploads import check_free, drop_part
from modelkeep_server.records import staging
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.encode import digest_bytes
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.values.call import Call
from modelkeep_server.values.limits import MIB

MAX_SIZE = 5 * 1024 * MIB
"""What an S3-compatible store takes in one request."""

_Links = Sequence[tuple[pb.BlobToLink, UploadLink]]
_Parts = Sequence[tuple[int, str]]  # sizes and keys


def create(
    records: Records,
    store: BlobStore | None,
    call: Call,
    parent: str,
    wanted: Sequence[pb.BlobToLink],
) -> pb.CreateUploadLinksResponse:
    """Give a link to each of these blobs that is not here; without a store, links are off."""
    possession.check_parent(records.read(), parent)
    for index, blob in enumerate(wanted):
        _check_size(blob.size, f"blobs[{index}].size")
    if store is None:
        raise links.unavailable("UploadBlobs")
    here = possession.present(records, parent, [blob.digest for blob in wanted])
    response = pb.CreateUploadLinksResponse()
    response.expire_time.FromMicroseconds(now_us() + links.SECONDS * 1_000_000)
    given: list[tuple[pb.BlobToLink, UploadLink]] = []
    try:
        for blob in wanted:
            if blob.digest not in here:
                given.append((blob, _link(store, blob.digest)))
        earlier = _expect(records, call, parent, given)
    except BaseException:
        _drop(store, [(blob.size, link.key) for blob, link in given])
        raise
    _drop(store, earlier)
    for blob, link in given:
        response.links.add(digest=blob.digest, url=link.url, headers=link.headers)
    return response


def _link(store: BlobStore, digest: str) -> UploadLink:
    link = store.upload_link(digest_bytes(digest), links.SECONDS)
    if link is None:
        raise links.unavailable("UploadBlobs")
    return link


def _expect(records: Records, call: Call, parent: str, given: _Links) -> _Parts:
    """Write a row for each part to come, and tell what they take the place of."""

    def work(tx: Session) -> _Parts:
        earlier = []
        for blob, link in given:
            header = pb.UploadHeader(parent=parent, digest=blob.digest, size=blob.size)
            part = staging.find(tx, parent, call.principal, blob.digest)
            now = now_us()
            if part is None:
                args = (tx, parent, call.principal, blob.digest, link.key, blob.size, now)
                part = staging.add(*args)
            else:
                check_free(part, header, now)
                earlier.append((part.size, part.key))
                part = staging.begin_anew(tx, part, link.key, blob.size, now)
            staging.keep(tx, part, 0, now, 0)
        return earlier

    return records.bookkeep(work)


def _drop(store: BlobStore, parts: _Parts) -> None:
    for size, key in parts:
        drop_part(store, size, key)


def _check_size(size: int, field: str) -> None:
    if size > MAX_SIZE:
        raise InvalidArgumentError(
            "FIELD_INVALID",
            f"a blob of more than {MAX_SIZE} bytes is not sent by a link; use UploadBlobs",
            field=field,
        )
