"""What an S3-compatible store has: nothing is written."""

from collections.abc import Iterator

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from modelkeep_server.blobs.port import BLOCK
from modelkeep_server.blobs.s3_bucket import S3Bucket, UnderWay, UploadOverError
from modelkeep_server.blobs.s3_errors import unavailable, unreadable
from modelkeep_server.values.s3_place import S3Place

# A read that breaks off goes on where it was, but not where it got nowhere so often.
_ATTEMPTS = 2
_OWNER_BYTES = 100  # of what may be somebody else's


class S3Files:
    """The objects and the uploads under way of a bucket, to look at."""

    def __init__(self, place: S3Place, bucket: S3Bucket) -> None:
        """Look at this place."""
        self._place = place
        self._bucket = bucket

    def shown(self, key: str, *, staged: bool = False) -> str:
        """Tell the name of an object, or of what an upload under way becomes."""
        name = self._place.name(key)
        return f"{name} (an upload under way)" if staged else name

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield published bytes by blocks, ending early where the blob does."""
        return self.read_named(self._place.name(key), offset, length)

    def read_named(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield any object's bytes like that."""
        end = offset + length
        failures = 0
        while offset < end:
            try:
                for block in self._blocks(name, offset, end):
                    yield block
                    offset += len(block)
                    failures = 0
                return
            except HTTPError as broken:
                failures += 1
                if failures == _ATTEMPTS:
                    raise unavailable("broke off what it was sending") from broken

    def published(self, shard: str) -> dict[str, int]:
        """Tell the blobs of a shard: keys and sizes."""
        found = self._bucket.objects(self._place.shard(shard))
        return {key: one.size for one in found if (key := self._place.key(one.name))}

    def staged(self) -> dict[str, int]:
        """Tell the parts that can be listed: keys and sizes."""
        sizes: dict[str, int] = {}
        for key, upload in self.under_way():
            sizes[key] = max(sizes.get(key, 0), self._size(upload))
        return sizes

    def staged_size(self, key: str) -> int | None:
        """Tell how many bytes of a part are there, published or not."""
        name = self._place.name(key)
        if found := self._bucket.find(name):
            return found.size
        sizes = [self._size(one) for one in self._bucket.under_way(name) if one.name == name]
        return max(sizes, default=None)

    def strangers(self) -> Iterator[str]:
        """Yield the names of what no store of this kind has made."""
        for found in self._bucket.objects(self._place.prefix):
            if self._place.key(found.name) is None and found.name != self._place.owner:
                yield found.name

    def is_empty(self) -> bool:
        """Tell whether nothing is there, but what says whose the place is."""
        found = self._bucket.objects(self._place.prefix)
        return all(one.name == self._place.owner for one in found)

    def owner(self) -> str | None:
        """Tell the registry that uses this place, by its id."""
        found = self._bucket.find(self._place.owner)
        if found is None:
            return None
        some = min(found.size, _OWNER_BYTES)
        return b"".join(self.read_named(found.name, 0, some)).decode(errors="replace")

    def missing_places(self) -> list[str]:
        """Tell that no place is missing: names have no folders."""
        return []

    def under_way(self) -> Iterator[tuple[str, UnderWay]]:
        """Yield the parts that can be listed, and their keys."""
        # By the whole bucket: MinIO lists none by the beginning of a name.
        for upload in self._bucket.under_way(""):
            if key := self._place.key(upload.name):
                yield key, upload

    def _size(self, upload: UnderWay) -> int:
        try:
            return sum(piece.size for piece in self._bucket.pieces(upload.name, upload.id))
        except UploadOverError:
            return 0

    def _blocks(self, name: str, offset: int, end: int) -> Iterator[bytes]:
        try:
            response = self._bucket.open(name, offset, end - offset)
        except KeyError:
            raise unreadable(name.rpartition("/")[2], offset) from None
        if response is None:
            return
        try:
            while block := response.read(min(BLOCK - offset % BLOCK, end - offset)):
                yield block
                offset += len(block)
        finally:
            # Where not all was read, the connection has the rest in it.
            _let_go(response, is_read=offset == end)


def _let_go(response: BaseHTTPResponse, *, is_read: bool) -> None:
    if not is_read:
        response.close()
    response.release_conn()
