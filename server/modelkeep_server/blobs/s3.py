"""Blobs in an S3-compatible store.

* The layout is that of `values/s3_place.py`. What is there under a key is whole: a request that
  was cut short leaves nothing.
* Any number of processes use a bucket. Nothing of a blob is on this machine's disk, and of each
  upload at most two pieces are in memory.
"""

import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from modelkeep.errors import UnavailableError
from modelkeep_server.blobs.port import UploadLink
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.blobs.s3_files import S3Files
from modelkeep_server.blobs.s3_links import LinkTrust
from modelkeep_server.blobs.s3_staged import S3StagedBlob
from modelkeep_server.blobs.writers import Writers
from modelkeep_server.values.s3_place import S3Place

# So many small blobs are on their way at once: each waits for an answer.
_LANES = 16
_MIB = 1024 * 1024
_LEAST_PIECE = 16 * _MIB
_MOST_PIECES = 10_000


class S3Store:
    """Blobs in a bucket, which must be there."""

    def __init__(self, place: S3Place, bucket: S3Bucket, least_piece: int = _LEAST_PIECE) -> None:
        """Use the bucket; nothing is asked yet."""
        self._place = place
        self._bucket = bucket
        self._least_piece = least_piece
        self._files = S3Files(place, bucket)
        self._writers = Writers()
        self._trust = LinkTrust(bucket)
        self._pool = ThreadPoolExecutor(_LANES, thread_name_prefix="blobs")

    @property
    def files(self) -> S3Files:
        """What is there, whatever the records say."""
        return self._files

    def claim(self, owner: str) -> str:
        """Say which registry uses this place, durable on return, unless one has said so before."""
        there = self._files.owner()
        if there is None:
            self._bucket.put_new(self._place.owner, owner.encode())
            there = self._files.owner()
        return there or ""

    def put_many(self, blobs: Sequence[bytes]) -> list[str]:
        """Store small blobs, durable on return, and answer their keys; all or none of them."""
        keys = [_new_key() for _ in blobs]
        futures = [
            self._pool.submit(self._bucket.put, self._place.name(key), blob)
            for key, blob in zip(keys, blobs, strict=True)
        ]
        # All of them, also after a failure: nothing may come behind the back of `remove`.
        wait(futures)
        try:
            for future in futures:
                future.result()
        except UnavailableError:
            # Nor could they be removed now; they have no row, and collection finds them.
            raise
        except BaseException:
            self.remove(*keys)
            raise
        return keys

    def stage(self, size: int, key: str | None = None) -> S3StagedBlob:
        """Begin a part, or with a `key` go on with one, taking it from whoever had it."""
        is_new = key is None
        key = key or _new_key()
        return S3StagedBlob(
            key,
            self._place.name(key),
            self._piece_size(size),
            self._bucket,
            self._writers,
            is_new=is_new,
        )

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield published bytes by blocks, ending early where the blob does."""
        return self._files.read(key, offset, length)

    def staged_keys(self, before: float) -> list[str]:
        """List the parts that nobody here is writing, begun before a Unix time."""
        old = [key for key, upload in self._files.under_way() if upload.begun < before]
        return self._writers.free(old)

    def remove_staged(self, key: str) -> None:
        """Drop a part, unless somebody here is writing it. Published bytes stay."""
        if not self._writers.free([key]):
            return
        name = self._place.name(key)
        for upload in self._bucket.under_way(name):
            if upload.name == name:
                self._bucket.abort(name, upload.id)

    def link(self, key: str, seconds: int) -> str:
        """Give a URL at which anyone can GET published bytes for so long."""
        return self._bucket.link(self._place.name(key), seconds)

    def upload_link(self, sha256: bytes, seconds: int) -> UploadLink | None:
        """Give a URL at which anyone can PUT these bytes for so long, if no others are taken."""
        if not self._trust.is_given(self._place.name(_new_key())):
            return None
        key = _new_key()
        name = self._place.name(key)
        url, headers = self._bucket.upload_link(name, self._bucket.begin(name), sha256, seconds)
        return UploadLink(key, url, headers)

    def remove(self, *keys: str) -> None:
        """Drop published bytes, whose rows are gone; none need be there."""
        # One is as soon removed here as by another thread.
        each = self._pool.map if len(keys) > 1 else map
        for _ in each(self._bucket.remove, [self._place.name(key) for key in keys]):
            pass

    def _piece_size(self, size: int) -> int:
        """Tell how large the pieces of a blob are: any store that goes on with it must agree."""
        most = -(-size // _MOST_PIECES)
        return max(self._least_piece, -(-most // _MIB) * _MIB)


def _new_key() -> str:
    return secrets.token_hex(16)
