"""Whether a store can be trusted with links at which others put bytes."""

import hashlib

from modelkeep_server.blobs.s3_bucket import S3Bucket

_BYTES = b"what was announced"
_OTHERS = b"something else"
_OK = 200


def refuses_others(bucket: S3Bucket, name: str) -> bool:
    """Try whether a signed `x-amz-checksum-sha256` keeps other bytes out, under a free name.

    A store that does not look at it would let whoever has a link write anything.
    """
    sha256 = hashlib.sha256(_BYTES).digest()
    try:
        keeps_out = bucket.put_by_link(name, sha256, _OTHERS) != _OK and bucket.find(name) is None
        return keeps_out and bucket.put_by_link(name, sha256, _BYTES) == _OK
    finally:
        bucket.remove(name)
