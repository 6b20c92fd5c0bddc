"""Small files that are written once, for others to keep: the log's checkpoints."""

import os
from pathlib import Path
from typing import Protocol

from modelkeep_server.values.s3_place import S3Keys, S3Place
from modelkeep_server.values.start import StartError


class Published(Protocol):
    """A place for such files."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, durable on return, unless it is there."""


class PublishedFolder:
    """A folder, best on another machine's disk."""

    def __init__(self, folder: Path) -> None:
        """Use this folder; it is made where it is new."""
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Write a file, durable on return, unless it is there."""
        path = self._folder / name
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
