"""What is asked of an S3-compatible store, a request a method; the only file that knows minio.

Resuming needs what minio's `put_object` does inside, so its methods for one step of a multipart
upload are used here.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from mmap import mmap
from typing import cast
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.datatypes import Part
from minio.error import S3Error
from urllib3 import BaseHTTPResponse

from modelkeep_server.blobs.s3_errors import translated
from modelkeep_server.blobs.s3_pool import S3Pool
from modelkeep_server.blobs.s3_signing import presigned
from modelkeep_server.values.s3_place import S3Keys, S3Place

# Else a page that somebody pushed would be one of the store's own to a browser.
_NOT_SHOWN = {
    "response-content-disposition": "attachment",
    "response-content-type": "application/octet-stream",
}
_THERE = {"PreconditionFailed", "ConditionalRequestConflict"}
_OVER = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder"}


class UploadOverError(Exception):
    """A multipart upload was ended, or a piece of it replaced, by somebody else."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A finished part of a multipart upload; the size in bytes."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A multipart upload under way; `begun` is a Unix time."""

    name: str
    id: str
    begun: float


@dataclass(frozen=True, slots=True)
class Stored:
    """An object; the size in bytes."""

    name: str
    size: int
    etag: str


class S3Bucket:
    """A bucket, spoken to over a pool of our own."""

    def __init__(self, place: S3Place, keys: S3Keys) -> None:
        """Speak to this bucket; nothing is asked yet."""
        self._bucket = place.bucket
        pool = S3Pool()
        self._client = _client(place.endpoint, place.region, keys, pool)
        self._place = place
        self._keys = keys
        # Only signs: a URL holds for the host alone that it was signed for.
        self._public = _client(place.public_endpoint or place.endpoint, place.region, keys, pool)
        self._pool = pool

    def put(self, name: str, data: bytes) -> None:
        """Store an object, durable on return."""
        with translated():
            self._client._put_object(self._bucket, name, data)

    def put_new(self, name: str, data: bytes) -> None:
        """Store an object, durable on return, unless one is there.

        A store that knows no conditions stores it all the same.
        """
        with translated():
            try:
                self._client._put_object(self._bucket, name, data, {"If-None-Match": "*"})
            except S3Error as error:
                if error.code in _THERE:
                    return
                if error.code != "NotImplemented":
                    raise
                self._client._put_object(self._bucket, name, data)

    def find(self, name: str) -> Stored | None:
        """Look whether an object is there."""
        with translated():
            try:
                found = self._client.stat_object(self._bucket, name)
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise
                return None
        return Stored(name, found.size or 0, found.etag or "")

    def open(self, name: str, offset: int, length: int) -> BaseHTTPResponse | None:
        """Begin to read a range; answers nothing where the object ends before it.

        Raises `KeyError` where no object is.
        """
        with translated():
            try:
                return self._client.get_object(self._bucket, name, offset, length)
            except S3Error as error:
                if error.code == "InvalidRange":
                    return None
                if error.code == "NoSuchKey":
                    raise KeyError(name) from error
                raise

    def link(self, name: str, seconds: int) -> str:
        """Give a URL that reads an object for so long; nothing is asked."""
        expires = timedelta(seconds=seconds)
        return self._public.presigned_get_object(self._bucket, name, expires, dict(_NOT_SHOWN))

    def upload_link(
        self, name: str, upload: str, sha256: bytes, seconds: int
    ) -> tuple[str, dict[str, str]]:
        """Give a URL that sends the one part of a multipart upload, and what headers it takes.

        It holds for so long, and no longer than the upload.
        """
        return self._to_send(self._public, name, upload, sha256, seconds)

    def send_by_link(self, name: str, upload: str, sha256: bytes, data: bytes) -> tuple[int, str]:
        """Send what a link would: the HTTP status, and the error code if there is one."""
        with translated():
            url, headers = self._to_send(self._client, name, upload, sha256, 60)
            response = self._pool.urlopen("PUT", url, body=data, headers=headers)
        return response.status, _error_code(response)

    def _to_send(
        self, client: Minio, name: str, upload: str, sha256: bytes, seconds: int
    ) -> tuple[str, dict[str, str]]:
        headers = {"x-amz-checksum-sha256": base64.b64encode(sha256).decode()}
        # Of minio's only where: it signs no headers.
        where = client.get_presigned_url("PUT", self._bucket, name).partition("?")[0]
        part = f"{where}?partNumber=1&uploadId={quote(upload, safe='')}"
        now = datetime.now(UTC)
        return presigned(
            "PUT", part, headers, self._keys, self._place.region, now, seconds
        ), headers

    def remove(self, name: str) -> None:
        """Drop an object, if it is there."""
        with translated():
            self._client.remove_object(self._bucket, name)

    def objects(self, prefix: str) -> Iterator[Stored]:
        """Yield the objects whose names begin so."""
        with translated():
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                yield Stored(found.object_name or "", found.size or 0, found.etag or "")

    def begin(self, name: str) -> str:
        """Begin a multipart upload, and answer its id."""
        with translated():
            return self._client._create_multipart_upload(self._bucket, name, {})

    def send(self, name: str, upload: str, number: int, data: bytes | mmap) -> Piece:
        """Store a part of a multipart upload, durable on return."""
        with translated(), _over():
            # Minio looks at the length and the hash of a body alone, which any buffer has.
            body = cast("bytes", data)
            etag = self._client._upload_part(self._bucket, name, body, None, upload, number)
        return Piece(number, len(data), etag)

    def complete(self, name: str, upload: str, pieces: Sequence[Piece]) -> str:
        """Make an object of these parts, and answer its ETag; empty where that is not told."""
        parts = [Part(piece.number, piece.etag) for piece in pieces]
        with translated(), _over():
            done = self._client._complete_multipart_upload(self._bucket, name, upload, parts)
        return done.etag or ""

    def abort(self, name: str, upload: str) -> None:
        """End a multipart upload, if it is under way; its parts go."""
        with translated():
            try:
                self._client._abort_multipart_upload(self._bucket, name, upload)
            except S3Error as error:
                if error.code != "NoSuchUpload":
                    raise

    def pieces(self, name: str, upload: str) -> list[Piece]:
        """List the finished parts of a multipart upload: of each number the last that came."""
        found: dict[int, Part] = {}
        marker: str | None = None
        while True:
            with translated(), _over():
                page = self._client._list_parts(
                    self._bucket, name, upload, part_number_marker=marker
                )
            for part in page.parts:
                # One store keeps both where a number came twice.
                known = found.setdefault(part.part_number, part)
                if known.last_modified and part.last_modified:
                    found[part.part_number] = max(known, part, key=_last_modified)
            if not (page.is_truncated and page.parts):
                break
            marker = str(page.parts[-1].part_number)
        return [Piece(n, part.size or 0, part.etag) for n, part in sorted(found.items())]

    def under_way(self, prefix: str) -> Iterator[UnderWay]:
        """Yield the multipart uploads whose names begin so.

        MinIO finds them by the whole name only, or, with no prefix, as far as it remembers.
        """
        name: str | None = None
        upload: str | None = None
        while True:
            with translated():
                page = self._client._list_multipart_uploads(
                    self._bucket, prefix=prefix, key_marker=name, upload_id_marker=upload
                )
            for found in page.uploads:
                begun = found.initiated_time.timestamp() if found.initiated_time else 0.0
                yield UnderWay(found.object_name, found.upload_id or "", begun)
            if not (page.is_truncated and page.uploads):
                return
            name, upload = page.uploads[-1].object_name, page.uploads[-1].upload_id


def _client(endpoint: str, region: str, keys: S3Keys, pool: S3Pool) -> Minio:
    url = urlsplit(endpoint)
    return Minio(
        url.netloc,
        secure=url.scheme == "https",
        region=region,
        credentials=StaticProvider(keys.access, keys.secret, keys.session),
        http_client=pool,
    )


def _error_code(response: BaseHTTPResponse) -> str:
    try:
        return S3Error.fromxml(response).code or ""
    except (ParseError, UnicodeDecodeError):
        return ""


def _last_modified(part: Part) -> float:
    return part.last_modified.timestamp() if part.last_modified else 0.0


@contextmanager
def _over() -> Iterator[None]:
    """Tell that somebody else had to do with the upload."""
    try:
        yield
    except S3Error as error:
        if error.code in _OVER:
            raise UploadOverError(error.code) from error
        raise
