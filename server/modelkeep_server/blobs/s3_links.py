"""Whether a store can be trusted with links at which others put bytes."""

import hashlib

from modelkeep_server.blobs.s3_bucket import S3Bucket

_BYTES = b"what was announced"
_OTHERS = b"something else"
_OK = 200


def refuses_others(bucket: S3Bucket, name: str) -> bool:
    """Try whether a signed `x-amz-checksum-sha256` keeps other bytes out, under a free name."""
    sha256 = hashlib.sha256(_BYTES).digest()
    upload = bucket.begin(name)
    try:
        keeps_out = bucket.send_by_link(name, upload, sha256, _OTHERS) != _OK
        return keeps_out and bucket.send_by_link(name, upload, sha256, _BYTES) == _OK
    finally:
        bucket.abort(name, upload)
