"""Small files that are written once, for others to keep: the log's checkpoints."""

import os
import secrets
from pathlib import Path
from typing import Protocol

from modelkeep.errors import DataLossError
from modelkeep_server.blobs.disk import sync_path
from modelkeep_server.values.s3_place import S3Keys, S3Place
from modelkeep_server.values.start import StartError


class Published(Protocol):
    """A place for such files."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, durable on return, unless it is there.

        Raises `DataLossError` `CHECKPOINT_DIFFERS` where another is there under the name.
        """


class PublishedFolder:
    """A folder, best on another machine's disk."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, which must be there."""
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Write a file, durable on return, unless it is there."""
        path = self._folder / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_path(path.parent.parent)
        beside = path.with_name(f".{secrets.token_hex(8)}")
        try:
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, path)  # unlike a rename it takes nothing's place
        except FileExistsError:
            check_same(name, path.read_bytes(), data)
        finally:
            beside.unlink(missing_ok=True)
        sync_path(path.parent)


def check_same(name: str, there: bytes, data: bytes) -> None:
    """See that what is there under a name is what would have been written."""
    if there != data:
        raise DataLossError(
            "CHECKPOINT_DIFFERS",
            f"another checkpoint is kept as {name}: this log is not the one that was signed there",
            name=name,
        )


def open_published(place: Path | S3Place, keys: S3Keys | None) -> Published:
    """Use a folder, or a bucket that must be there."""
    if isinstance(place, Path):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StartError(
                f"checkpoints can't be put into {place}: {problem.strerror}; choose another folder "
                "with --checkpoints"
            ) from None
        return PublishedFolder(place)
    from modelkeep_server.blobs.s3_opening import open_bucket
    from modelkeep_server.blobs.s3_published import PublishedBucket

    return PublishedBucket(place, open_bucket(place, keys, used=False))
