"""Backups in a folder. While one is made, its database is in `backups/partial`."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from modelkeep_server.blobs.backups import DATABASE, FOLDER, POINT, new_point
from modelkeep_server.blobs.disk import sync_path
from modelkeep_server.blobs.local import LocalStore
from modelkeep_server.blobs.local_files import LocalFiles
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.place import Place

_OURS = {FOLDER, "blobs", "staging", "lock", "lost+found"}


class LocalBackups:
    """A folder with backups."""

    def __init__(self, root: Path) -> None:
        """Use this folder, which need not be there before one is made."""
        self._root = root
        self.files = LocalFiles(root)

    @cached_property
    def store(self) -> LocalStore:
        """The store of their blobs, to write."""
        return LocalStore(self._root, lambda _: None)

    def shown(self, point: str = "") -> str:
        """Name the place, or one backup, to people."""
        return str(self._root / FOLDER / point) if point else str(self._root)

    def is_within(self, registry: Place) -> bool:
        """Tell whether these are where only a registry may write."""
        is_used = registry.database is None or registry.blobs is None
        return is_used and self._root.resolve().is_relative_to(registry.data.resolve())

    def points(self) -> list[str]:
        """List the backups, oldest first."""
        folder = self._root / FOLDER
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        return [name for name in names if POINT.fullmatch(name)]

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Make the place, and give a new folder for a database; only one is made at a time."""
        self._make()
        lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(lock)
            partial = self._root / FOLDER / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(0o700, parents=True)
            yield partial
        finally:
            os.close(lock)

    def publish(self, folder: Path) -> str:
        """Make the database in that folder a backup, durable on return."""
        point = new_point()
        sync_path(folder / DATABASE)
        sync_path(folder)
        os.rename(folder, folder.with_name(point))
        sync_path(self._root / FOLDER)
        return point

    @contextmanager
    def opened(self, point: str) -> Iterator[Path]:
        """Give a folder with a backup's database, which is not changed there."""
        yield self._root / FOLDER / point

    def _make(self) -> None:
        if self._root.is_dir() and set(os.listdir(self._root)) - _OURS:
            raise MoveError(f"{self._root} holds other things than backups; give a new folder")
        try:
            (self._root / FOLDER).mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise MoveError(f"{self._root} can't be made: {error.strerror}") from error
        for folder in (self._root, self._root.absolute().parent):
            sync_path(folder)

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MoveError(
                f"another backup into {self._root} is under way; wait for its end"
            ) from None
