"""Which store: a bucket, or the folder of blobs in a data folder."""

from collections.abc import Callable
from pathlib import Path

from modelkeep_server.blobs.local import LocalStore
from modelkeep_server.blobs.local_files import LocalFiles
from modelkeep_server.blobs.port import BlobFiles, BlobStore
from modelkeep_server.values.s3_place import S3Keys, S3Place


def open_store(
    place: S3Place | None,
    keys: S3Keys | None,
    data: Path,
    on_failure: Callable[[str], None],
    *,
    used: bool,
) -> BlobStore:
    """Open the bucket that is named, or without one the folder of blobs; or say why it can't be.

    `on_failure` is told once why nothing can be written any more; the server should stop. In a
    place that was `used` there are blobs.
    """
    if place is None:
        return LocalStore(data, on_failure, used=used)
    # Loaded where it is used: minio and what it needs take a third of a second.
    from modelkeep_server.blobs.s3 import S3Store
    from modelkeep_server.blobs.s3_opening import open_bucket

    return S3Store(place, open_bucket(place, keys, used=used))


def open_files(place: S3Place | None, keys: S3Keys | None, data: Path) -> BlobFiles:
    """Look at what is there, and write nothing."""
    if place is None:
        return LocalFiles(data)
    from modelkeep_server.blobs.s3_files import S3Files
    from modelkeep_server.blobs.s3_opening import open_bucket

    return S3Files(place, open_bucket(place, keys, used=False))
