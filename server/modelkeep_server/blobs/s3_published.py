"""Small files that are written once, in a bucket."""

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
        self._bucket.put_new(f"{self._prefix}{name}", data)
