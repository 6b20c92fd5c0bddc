"""The port: what modelkeep needs of a place where bytes are kept.

* Bytes lie under opaque keys that the store makes. A key is never used for other bytes.
* Published bytes never change. What publishes a blob to people is the row in the records that
  names its key, so bytes that have no row were published to nobody.
* What is staged outlives a crash as far as `StagedBlob.flush` answered, and no further.
* Several processes may use one store. Who writes a part is settled in the records, by a lease; a
  store sees to it that one whose lease was taken over changes nothing of what others publish.
* The store knows no digests: `checked.py` stands between it and every reader.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# Stored bytes are read and checked by blocks of this size, counted from the blob's start.
BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadLink:
    """Where one blob's bytes can be PUT, with these headers; the URL is a secret."""

    key: str
    url: str = field(repr=False)
    headers: Mapping[str, str]


class StagedBlob(Protocol):
    """A blob that is being received: a part that outlives breaks, and that nobody reads yet.

    One thread uses it, but for `flush`, which another may call meanwhile. When the part is
    staged again, this one is over: it changes nothing any more, and what would change
    something raises `AbortedError` `UPLOAD_LEASE_LOST`. It is over too after `publish`,
    `discard` and `close`.
    """

    @property
    def key(self) -> str:
        """The key under which to stage the part again, and to read it once it is published."""

    @property
    def size(self) -> int:
        """How many bytes are there now; not all of them need be durable."""

    @property
    def flush_bytes(self) -> int:
        """How much to write from one `flush` to the next."""

    @property
    def is_readable(self) -> bool:
        """Whether `read` works before `publish`; where not, go on hashing after it."""

    def read(self) -> Iterator[bytes]:
        """Yield what is there, by blocks. Raises `DataLossError` where it can't be read."""

    def write(self, data: bytes) -> None:
        """Append all of `data`, or nothing where it raises."""

    def flush(self, *, last: bool = False) -> int:
        """Make durable what was written when this was called, and answer how much that is.

        Writing goes on meanwhile, unless this is the `last`. A store that keeps whole pieces may
        answer less.
        """

    def truncate(self, size: int) -> None:
        """Drop what lies behind `size`. A store that keeps whole pieces may drop more."""

    def publish(self) -> bool:
        """Make the bytes readable under the key, durable on return.

        Answers whether they are certainly those that were written here. Where not, they may be
        those of one whose lease ran out: read them back.
        """

    def discard(self) -> None:
        """Drop the part. One that was taken over stays with who has it now."""

    def close(self) -> None:
        """Leave the part as it is, to be staged again. May be called again."""


class BlobReader(Protocol):
    """What reading published bytes takes."""

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield published bytes by blocks, ending early where the blob does.

        Each piece but the last ends where a block does. Raises `DataLossError` where bytes
        can't be read, or where there is nothing under the key.
        """


class BlobFiles(BlobReader, Protocol):
    """What a store has, whatever the records say; nothing is written meanwhile.

    Blobs come by shard, the first two digits of their keys, so that what is told at once is
    bounded. Paths are as people find them in the store.
    """

    def published(self, shard: str) -> dict[str, int]:
        """Tell the blobs of a shard: keys and sizes."""

    def staged(self) -> dict[str, int]:
        """Tell the parts that can be listed: keys and sizes."""

    def staged_size(self, key: str) -> int | None:
        """Tell how many bytes of a part are there, published or not."""

    def strangers(self) -> Iterator[str]:
        """Yield the paths of what no store of this kind has made."""

    def is_empty(self) -> bool:
        """Tell whether no blob is there, and nothing else that people keep in such a place."""

    def owner(self) -> str | None:
        """Tell the registry that uses this store, by its id; nothing where none has said so."""

    def missing_places(self) -> list[str]:
        """Tell the places that every store of this kind has made, and that are gone."""

    def shown(self, key: str, *, staged: bool = False) -> str:
        """Tell the path of a blob or a part."""


class BlobStore(BlobReader, Protocol):
    """Bytes under opaque keys, written once and never changed.

    Every adapter passes `tests/blobs/spec.py`, the full statement of this contract. Methods
    are safe to call from many threads. Every write raises `ResourceExhaustedError`
    `STORAGE_FULL` where there is no room, and `UnavailableError`: `STORAGE_FAILED` where
    nothing written can be trusted any more, `STORAGE_UNAVAILABLE` where the store does not
    answer, as reads do.
    """

    @property
    def files(self) -> BlobFiles:
        """What is there, whatever the records say."""

    def claim(self, owner: str) -> str:
        """Say which registry uses this store, durable on return, unless one has said so before.

        Answers which one it is.
        """

    def put_many(self, blobs: Sequence[bytes]) -> list[str]:
        """Store small blobs, durable on return, and answer their keys; all or none of them."""

    def stage(self, size: int, key: str | None = None) -> StagedBlob:
        """Begin a part of what will be `size` bytes, or with a `key` go on with one.

        It is taken from whoever had it; raises `AbortedError` `UPLOAD_IN_PROGRESS` where that
        is another process that can't be stopped. Only for keys that no row names as a blob. A
        part that was published before its row could be written is a part again; one of which
        nothing is left is empty. After a crash only what `flush` had answered can be relied on:
        truncate to that.
        """

    def staged_keys(self, before: float) -> list[str]:
        """List the parts that nobody here is writing, last changed before a Unix time.

        A store need not know of all.
        """

    def remove_staged(self, key: str) -> None:
        """Drop a part, unless somebody is writing it. Published bytes stay."""

    def link(self, key: str, seconds: int) -> str | None:
        """Give a URL at which anyone can GET published bytes for so long, where there is such.

        It may be used to begin until then. It is a secret: it goes to the caller, and nowhere else.
        """

    def upload_link(self, sha256: bytes, seconds: int) -> UploadLink | None:
        """Give a URL at which anyone can PUT the bytes with this hash for so long, and no others.

        They come under a new key, as a part. With its end, published or discarded, the URL leads
        nowhere any more. Nothing, where the store has no such URLs, or was not seen to refuse
        other bytes.
        """

    def remove(self, *keys: str) -> None:
        """Drop published bytes, whose rows are gone; none need be there."""
