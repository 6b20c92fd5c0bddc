"""Where an S3-compatible store is, and what a blob is called in it.

`<prefix>/blobs/<the key's first two digits>/<key>` is published, once it is there. A part is a
multipart upload under way of the same name.
"""

import re
import secrets
from dataclasses import dataclass

KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket at an endpoint, and where in it blobs are; the prefix is empty or ends in `/`."""

    bucket: str
    prefix: str
    endpoint: str
    region: str

    def name(self, key: str) -> str:
        """Give a blob's name in the bucket."""
        return f"{self.shard(key[:2])}{key}"

    def shard(self, shard: str) -> str:
        """Give what the names of a shard's blobs begin with."""
        return f"{self.blobs}{shard}/"

    @property
    def blobs(self) -> str:
        """What the names of all blobs begin with."""
        return f"{self.prefix}blobs/"

    def key(self, name: str) -> str | None:
        """Give the key of a name that a store made, and nothing for others."""
        key = name.rpartition("/")[2]
        return key if KEY.fullmatch(key) and name == self.name(key) else None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix} at {self.endpoint}"


def new_key() -> str:
    """Make a key that nobody has."""
    return secrets.token_hex(16)
