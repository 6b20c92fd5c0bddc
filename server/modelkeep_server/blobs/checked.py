"""Nobody gets a wrong byte: a CRC32C for each block, kept beside the blob's row.

Bytes are sealed by them on their way in, and every read, ranged or whole, reads full blocks and
checks each before any of its bytes goes on.
"""

from collections.abc import Iterator

import google_crc32c

from modelkeep.errors import DataLossError
from modelkeep_server.blobs.port import BLOCK, BlobReader
from modelkeep_server.values.stored_blob import StoredBlob

_CHECKSUM_SIZE = 4


class Checksums:
    """The checksums of a blob, computed while its bytes go by, in pieces of any size."""

    def __init__(self) -> None:
        """Start at the blob's first byte."""
        self._whole = bytearray()
        self._crc = 0
        self._filled = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        start = 0
        while start < len(data):
            piece = data[start : start + BLOCK - self._filled]
            self._crc = google_crc32c.extend(self._crc, piece)
            self._filled += len(piece)
            start += len(piece)
            if self._filled == BLOCK:
                self._whole += _encode(self._crc)
                self._crc = self._filled = 0

    def digest(self) -> bytes:
        """Answer four bytes a block, little-endian; the last block may be short."""
        return bytes(self._whole) + (_encode(self._crc) if self._filled else b"")


def read_checked(store: BlobReader, blob: StoredBlob, offset: int, length: int) -> Iterator[bytes]:
    """Yield a range of a blob, which must lie in it, a piece a block.

    Ends with `DataLossError` `BLOB_DAMAGED`, its `offset` the block's, instead of yielding
    anything of a block that is not what was stored.
    """
    end = offset + length
    if not 0 <= offset <= end <= blob.size:
        raise ValueError(f"{offset} to {end} is not a range of {blob.size} bytes")
    if length == 0:
        return
    for start, block in _blocks(store, blob, offset // BLOCK, (end - 1) // BLOCK + 1):
        # A slice of a whole block is that block, not a copy.
        yield block[max(offset - start, 0) : end - start]


def _blocks(
    store: BlobReader, blob: StoredBlob, first: int, behind: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks from `first` to before `behind`, each with where it starts."""
    stop = min(behind * BLOCK, blob.size)
    pieces = store.read(blob.key, first * BLOCK, stop - first * BLOCK)
    for start in range(first * BLOCK, stop, BLOCK):
        try:
            block = next(pieces, b"")
        except DataLossError as error:
            raise _damaged(blob, start) from error
        if len(block) != min(BLOCK, stop - start) or not _is_right(blob, start, block):
            raise _damaged(blob, start)
        yield start, block


def _is_right(blob: StoredBlob, start: int, block: bytes) -> bool:
    at = start // BLOCK * _CHECKSUM_SIZE
    return blob.checksums[at : at + _CHECKSUM_SIZE] == _encode(google_crc32c.value(block))


def _encode(crc: int) -> bytes:
    return crc.to_bytes(_CHECKSUM_SIZE, "little")


def _damaged(blob: StoredBlob, start: int) -> DataLossError:
    return DataLossError(
        "BLOB_DAMAGED",
        f"the stored bytes of {blob.digest} are damaged in the block at byte {start}",
        digest=blob.digest,
        offset=start,
    )
