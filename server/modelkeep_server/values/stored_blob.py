"""A blob, as its row in the records describes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What reading a blob takes.

    Attributes:
        digest: `sha256:` of its bytes.
        key: Where the store has it.
        size: How many bytes it has.
        checksums: A CRC32C for each MiB, as `blobs.Checksums` makes them.
    """

    digest: str
    key: str
    size: int
    checksums: bytes
