"""Where backups are: databases by the time they are of, and beside them the blobs of all of them.

`backups/<UTC time>/modelkeep.db` is one. It gets its name last, so what has one is whole.
"""

import re
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from modelkeep_server.blobs.port import BlobFiles, BlobStore
from modelkeep_server.values.place import Place
from modelkeep_server.values.s3_place import SCHEME, S3Keys, S3Place

DATABASE = "modelkeep.db"
FOLDER = "backups"
POINT = re.compile(r"\d{8}T\d{6}\.\d{6}Z")

_OF_ONE = re.compile(rf"(?P<root>.*/|){FOLDER}/(?P<point>{POINT.pattern})/?")


class Backups(Protocol):
    """A place with backups."""

    @property
    def store(self) -> BlobStore:
        """The store of their blobs, to write."""

    @property
    def files(self) -> BlobFiles:
        """That store, to look at."""

    def shown(self, point: str = "") -> str:
        """Name the place, or one backup, to people."""

    def is_within(self, registry: Place) -> bool:
        """Tell whether these are where only a registry may write."""

    def points(self) -> list[str]:
        """List the backups, oldest first."""

    def making(self) -> AbstractContextManager[Path]:
        """Make the place, and give a new folder for a database; only one is made at a time."""

    def publish(self, folder: Path) -> str:
        """Make the database in that folder a backup, durable on return."""

    def opened(self, point: str) -> AbstractContextManager[Path]:
        """Give a folder with a backup's database, which is not changed there."""


def open_backups(where: str, keys: S3Keys | None) -> tuple[Backups, str | None]:
    """Open a folder or `s3://…`, and tell which backup it names, if it does one.

    Raises `ValueError` where it is no URL of a bucket.
    """
    if not where.startswith(f"{SCHEME}:"):
        from modelkeep_server.blobs.local_backups import LocalBackups

        root, point = _split(where)
        return LocalBackups(Path(root or ".")), point
    from modelkeep_server.blobs.s3_backups import S3Backups

    place = S3Place.parse(where)
    root, point = _split(place.prefix)
    return S3Backups(replace(place, prefix=root), keys), point


def new_point() -> str:
    """Name a backup that is made now."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _split(where: str) -> tuple[str, str | None]:
    found = _OF_ONE.fullmatch(where)
    return (found["root"], found["point"]) if found else (where, None)
