"""What an S3-compatible store says when it does not do what it was asked, in modelkeep's words.

A store that does not answer is asked again by whoever wants something of it next: unlike a failed
fsync, that loses nothing that was said to be durable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError

from modelkeep.errors import DataLossError, ResourceExhaustedError, UnavailableError

RETRY_SECONDS = 1.0

_FULL = {
    "XMinioStorageFull",
    "InsufficientStorage",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
}
# Ours, or on the way to it: asked again, it may go well.
_PASSING = {
    "RequestTimeout",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "IncompleteBody",
    "SlowDown",
}
# The operator changed something; only they can mend it.
_REFUSED = {"NoSuchBucket", "RequestTimeTooSkewed", "InvalidBucketState"}
_FORBIDDEN = 403


@contextmanager
def translated() -> Iterator[None]:
    """Raise modelkeep's errors for the store's; what isn't understood stays as it is."""
    try:
        yield
    except S3Error as error:
        status = error.response.status if error.response is not None else 0
        if error.code in _FULL:
            raise ResourceExhaustedError(
                "STORAGE_FULL", "the blob store is full", retry_after_seconds=60
            ) from error
        if status >= 500 or status in (_FORBIDDEN, 429) or error.code in _PASSING | _REFUSED:
            raise unavailable(f"answers {error.code}") from error
        raise
    except ServerError as error:
        raise unavailable(f"answers HTTP {error.status_code}") from error
    except (InvalidResponseError, ParseError) as error:
        raise unavailable("answers something that is not S3") from error
    except HTTPError as error:
        raise unavailable("does not answer") from error


def unavailable(why: str) -> UnavailableError:
    """Say that the store can't be used now."""
    return UnavailableError(
        "STORAGE_UNAVAILABLE",
        f"the blob store {why}; try again",
        retry_after_seconds=RETRY_SECONDS,
    )


def unreadable(key: str, offset: int) -> DataLossError:
    """Say that stored bytes are not there."""
    return DataLossError(
        "BLOB_DAMAGED", f"blob {key} can't be read at byte {offset}", key=key, offset=offset
    )
