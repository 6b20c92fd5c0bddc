"""Whether a store can be trusted with links at which others put bytes."""

import hashlib
import threading
import time

from modelkeep_server.blobs.s3_bucket import S3Bucket

_BYTES = b"what was announced"
_OTHERS = b"something else"
_OK = 200
# MinIO has a word of its own for a checksum that the bytes do not have.
_REFUSALS = {(400, "BadDigest"), (400, "XAmzContentChecksumMismatch")}
_PAUSE_SECONDS = 60.0


class LinkTrust:
    """What is known of a store. Where it could not be told, it is tried again, a minute later."""

    def __init__(self, bucket: S3Bucket) -> None:
        """Know nothing yet."""
        self._bucket = bucket
        self._lock = threading.Lock()
        self._refuses_others: bool | None = None
        self._next_try = 0.0

    def is_given(self, name: str) -> bool:
        """Tell whether it was seen to refuse other bytes; tries that under a free name."""
        with self._lock:
            if self._refuses_others is None and time.monotonic() >= self._next_try:
                self._next_try = time.monotonic() + _PAUSE_SECONDS
                self._refuses_others = refuses_others(self._bucket, name)
            return self._refuses_others is True


def refuses_others(bucket: S3Bucket, name: str) -> bool | None:
    """Try whether a signed `x-amz-checksum-sha256` keeps other bytes out, under a free name.

    Nothing, where they were refused for another reason, or the right ones too: a store that is
    busy, or forbids all, has not looked at the checksum.
    """
    sha256 = hashlib.sha256(_BYTES).digest()
    upload = bucket.begin(name)
    try:
        said = bucket.send_by_link(name, upload, sha256, _OTHERS)
        if said[0] == _OK:
            return False
        takes_right_ones = bucket.send_by_link(name, upload, sha256, _BYTES)[0] == _OK
        return True if said in _REFUSALS and takes_right_ones else None
    finally:
        bucket.abort(name, upload)
