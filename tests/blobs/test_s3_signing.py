"""Signatures: those that AWS publishes, and those that another client makes."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from minio import Minio
from minio.credentials.providers import StaticProvider

from modelkeep_server.blobs.s3_signing import presigned
from modelkeep_server.values.s3_place import S3Keys

# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
AWS = S3Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_published_example_is_signed_as_published() -> None:
    url = "https://examplebucket.s3.amazonaws.com/test.txt"

    assert presigned("GET", url, {}, AWS, "us-east-1", NOW, 86400) == (
        f"{url}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_another_client_signs_the_same_for_keys_of_a_session() -> None:
    keys = S3Keys("an access key", "a secret", "a/session+token=")
    client = Minio(
        "127.0.0.1:9000",
        secure=False,
        region="eu-west-1",
        credentials=StaticProvider(keys.access, keys.secret, keys.session),
    )
    theirs = client.get_presigned_url(
        "PUT", "bucket", "a/b/c", expires=timedelta(seconds=300), request_date=NOW
    )

    ours = presigned("PUT", "http://127.0.0.1:9000/bucket/a/b/c", {}, keys, "eu-west-1", NOW, 300)

    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)


def test_headers_are_signed_in_their_order() -> None:
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    one = presigned("PUT", url, {"x-b": "2", "a-c": "1"}, AWS, "us-east-1", NOW, 300)
    other = presigned("PUT", url, {"a-c": "1", "x-b": "2"}, AWS, "us-east-1", NOW, 300)
    third = presigned("PUT", url, {"a-c": "1", "x-b": "3"}, AWS, "us-east-1", NOW, 300)

    assert "X-Amz-SignedHeaders=a-c%3Bhost%3Bx-b&" in one
    assert one == other != third
