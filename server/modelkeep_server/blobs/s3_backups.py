"""Backups in an S3-compatible store. While one is made, its database is on this machine's disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from modelkeep_server.blobs.backups import DATABASE, FOLDER, POINT, new_point
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.blobs.s3_files import S3Files
from modelkeep_server.blobs.s3_opening import open_bucket
from modelkeep_server.blobs.s3_staged import S3StagedBlob
from modelkeep_server.blobs.writers import Writers
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.place import Place
from modelkeep_server.values.s3_place import S3Keys, S3Place

# Ten thousand of them are a database of 640 GiB.
_PIECE = 64 * 1024 * 1024
_READ = 1024 * 1024


class S3Backups:
    """A place in a bucket with backups."""

    def __init__(self, place: S3Place, keys: S3Keys | None) -> None:
        """Use this place, in a bucket that must be there."""
        self._place = place
        self._keys = keys

    @cached_property
    def _bucket(self) -> S3Bucket:
        return open_bucket(self._place, self._keys, used=False)

    @cached_property
    def store(self) -> S3Store:
        """The store of their blobs, to write."""
        return S3Store(self._place, self._bucket)

    @cached_property
    def files(self) -> S3Files:
        """That store, to look at."""
        return S3Files(self._place, self._bucket)

    def shown(self, point: str = "") -> str:
        """Name the place, or one backup, to people."""
        named = f"{self._place.prefix}{FOLDER}/{point}" if point else self._place.prefix
        return f"s3://{self._place.bucket}/{named}?endpoint={self._place.endpoint}"

    def is_within(self, registry: Place) -> bool:
        """Tell whether these are where only a registry may write."""
        return registry.blobs is not None and registry.blobs.holds(self._place)

    def points(self) -> list[str]:
        """List the backups, oldest first."""
        names = (found.name for found in self._bucket.objects(f"{self._place.prefix}{FOLDER}/"))
        points = (name.removesuffix(f"/{DATABASE}").rpartition("/")[2] for name in names)
        return sorted(point for point in points if POINT.fullmatch(point))

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Give a new folder for a database. What two that are made at once share is the same."""
        with TemporaryDirectory(prefix="modelkeep-backup-") as folder:
            yield Path(folder)

    def publish(self, folder: Path) -> str:
        """Make the database in that folder a backup, durable on return."""
        point = new_point()
        name = self._name(point)
        part = S3StagedBlob(name, name, _PIECE, self._bucket, Writers(), is_new=True)
        try:
            with (folder / DATABASE).open("rb") as database:
                while piece := database.read(_READ):
                    part.write(piece)
            part.publish()
        except BaseException:
            part.discard()
            raise
        return point

    @contextmanager
    def opened(self, point: str) -> Iterator[Path]:
        """Bring a backup's database to this machine's disk."""
        found = self._bucket.find(self._name(point))
        if found is None:
            raise MoveError(f"there is no backup {self.shown(point)}")
        with TemporaryDirectory(prefix="modelkeep-backup-") as folder:
            with (Path(folder) / DATABASE).open("wb") as database:
                for piece in self.files.read_named(found.name, 0, found.size):
                    database.write(piece)
            yield Path(folder)

    def _name(self, point: str) -> str:
        return f"{self._place.prefix}{FOLDER}/{point}/{DATABASE}"
