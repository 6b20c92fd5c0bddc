"""Where a registry is."""

from dataclasses import dataclass, field
from pathlib import Path

from modelkeep_server.values.s3_place import S3Keys, S3Place


@dataclass(frozen=True, slots=True)
class Place:
    """Where a registry's records and bytes are.

    Attributes:
        data: The data folder.
        database: The URL of a database of Postgres; without one it is in the data folder.
        blobs: Where in a bucket the bytes are; without one they are in the data folder.
        keys: Who we are to the store with that bucket.
    """

    data: Path
    database: str | None = field(default=None, repr=False)
    blobs: S3Place | None = None
    keys: S3Keys | None = field(default=None, repr=False)

    @property
    def is_apart(self) -> bool:
        """Whether records or bytes are elsewhere than in a data folder that has both."""
        return self.database is not None or self.blobs is not None

    @property
    def store_name(self) -> str:
        """Name the store of its bytes, as may be seen by anyone."""
        return str(self.blobs or self.data.absolute())
