"""Opening a bucket, or saying in a line why it can't be used."""

from minio.error import S3Error
from urllib3.exceptions import HTTPError

from modelkeep.errors import UnavailableError
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.values.s3_place import S3Keys, S3Place
from modelkeep_server.values.start import StartError

_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken"}


def open_bucket(place: S3Place, keys: S3Keys | None, *, used: bool) -> S3Bucket:
    """Speak to a bucket that is there and lets us in.

    In a place that was `used` there are blobs: where none is, they were lost, or it is another
    place.
    """
    if keys is None:
        raise StartError(f"{place} needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    bucket = S3Bucket(place, keys)
    try:
        found = next(bucket.objects(place.blobs), None)
    except (UnavailableError, S3Error) as error:
        raise StartError(_why_not(place, keys, error)) from None
    if used and found is None:
        raise StartError(
            f"{place} has no blobs, and the records name some; see that --blobs names the bucket "
            "and the prefix where they are, or restore a backup"
        )
    return bucket


def _why_not(place: S3Place, keys: S3Keys, error: UnavailableError | S3Error) -> str:
    cause = error.__cause__ if isinstance(error, UnavailableError) else error
    code = cause.code if isinstance(cause, S3Error) else None
    if code == "NoSuchBucket":
        return f"the bucket {place.bucket} is missing at {place.endpoint}; make it first"
    if code in _REFUSED:
        return (
            f"{place.endpoint} refuses these keys for the bucket {place.bucket}: {code}; see "
            f"{keys.given_by}, and that they may list, read and write"
        )
    if code is not None:
        return f"{place} can't be used: it answers {code}"
    if isinstance(cause, HTTPError):
        return f"{place} can't be used: it does not answer: {_reason(cause)}"
    return f"{place} can't be used: {error}"


def _reason(error: HTTPError) -> str:
    """Tell what went wrong, less the names of urllib3's parts."""
    text = str(getattr(error, "reason", None) or error)
    return text.partition("): ")[2] or text
