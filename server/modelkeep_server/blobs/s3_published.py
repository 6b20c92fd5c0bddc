"""Small files that are written once, in a bucket."""

from modelkeep_server.blobs.published import check_same
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.values.s3_place import S3Place


class PublishedBucket:
    """A bucket, best one where objects can't be changed."""

    def __init__(self, place: S3Place, bucket: S3Bucket) -> None:
        """Use a prefix of this bucket."""
        self._prefix = place.prefix
        self._bucket = bucket

    def put(self, name: str, data: bytes) -> None:
        """Write a file, durable on return, unless it is there."""
        whole = f"{self._prefix}{name}"
        if self._bucket.find(whole) is None:
            self._bucket.put_new(whole, data)
        response = self._bucket.open(whole, 0, 2 * len(data))
        try:
            check_same(name, response.read() if response is not None else b"", data)
        finally:
            if response is not None:
                response.release_conn()
