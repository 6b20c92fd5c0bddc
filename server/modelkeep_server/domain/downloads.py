"""Downloads: ranges of a version's files, every byte checked on its way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelkeep.errors import DataLossError, NotFoundError, OutOfRangeError
from modelkeep.names import VersionSelector
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore, read_checked
from modelkeep_server.domain import resolve, versions
from modelkeep_server.records import blobs
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.versions import StoredVersion
from modelkeep_server.values.limits import MIB
from modelkeep_server.values.stored_blob import StoredBlob
from modelkeep_server.values.wire import bytes_head, number_field


@dataclass(frozen=True, slots=True)
class _Range:
    blob: StoredBlob
    offset: int
    length: int


def download(
    records: Records, store: BlobStore, selector: VersionSelector, wanted: Sequence[pb.FileRange]
) -> Iterator[bytes]:
    """Yield serialized `DownloadFilesResponse`s: small ranges many to a message."""
    session = records.read()
    version = resolve.version(session, selector)
    versions.check_content(version)
    ranges = [_range(session, version, selector, index, item) for index, item in enumerate(wanted)]
    return _unless_purged(records, version, _messages(store, ranges))


def _unless_purged(
    records: Records, version: StoredVersion, messages: Iterator[bytes]
) -> Iterator[bytes]:
    """Say so where bytes can't be read since they were released meanwhile."""
    try:
        yield from messages
    except DataLossError:
        versions.check_kept(records.read(), version.id)
        raise


def _range(
    session: Session,
    version: StoredVersion,
    selector: VersionSelector,
    index: int,
    item: pb.FileRange,
) -> _Range:
    blob = blob_of(session, version, selector, item.path, f"ranges[{index}].path")
    if item.offset > blob.size:
        raise OutOfRangeError(
            "RANGE_INVALID",
            f"{item.path} has {blob.size} bytes, none at {item.offset}",
            field=f"ranges[{index}].offset",
            path=item.path,
            offset=item.offset,
            size=blob.size,
        )
    rest = blob.size - item.offset
    return _Range(blob, item.offset, min(item.length or rest, rest))


def blob_of(
    session: Session, version: StoredVersion, selector: VersionSelector, path: str, field: str
) -> StoredBlob:
    """Find the bytes of a version's file, or say that it has none at the path in this field."""
    blob = blobs.of_file(session, version.manifest_id, path)
    if blob is None:
        versions.check_kept(session, version.id)
        raise NotFoundError(
            "RESOURCE_NOT_FOUND",
            f"{selector} has no file {path}",
            field=field,
            resource=f"{selector}/files/{path}",
        )
    return blob


def _messages(store: BlobStore, ranges: Sequence[_Range]) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for chunk, length in _chunks(store, ranges):
        if pending and size + length > MIB:
            yield b"".join(pending)
            pending, size = [], 0
        pending.append(chunk)
        size += length
    if pending:
        yield b"".join(pending)


def _chunks(store: BlobStore, ranges: Sequence[_Range]) -> Iterator[tuple[bytes, int]]:
    """Yield each piece as a serialized `RangeChunk` in its field, and how many bytes it brings."""
    for index, item in enumerate(ranges):
        offset = item.offset
        if not item.length:
            yield _chunk(index, offset, b""), 0
        for piece in read_checked(store, item.blob, item.offset, item.length):
            yield _chunk(index, offset, piece), len(piece)
            offset += len(piece)


def _chunk(index: int, offset: int, data: bytes) -> bytes:
    head = number_field(1, index) + number_field(2, offset) + bytes_head(3, len(data))
    return b"".join((bytes_head(1, len(head) + len(data)), head, data))
