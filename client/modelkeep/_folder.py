"""The files of a folder that a pull builds: what is left of the last try, of the cache, fetched."""

import os
from collections.abc import Sequence
from pathlib import Path

from modelkeep._cache_blobs import Blobs
from modelkeep._cache_trees import Entries
from modelkeep._disk import copy, create, files_below, hash_copy, hashes_to, remove_tree
from modelkeep._progress import Meter
from modelkeep._sinks import FolderSink
from modelkeep._workers import in_threads


class Folder:
    """A folder being built: `files`, as they shall be, and `parts` of large ones."""

    def __init__(self, root: Path, entries: Entries) -> None:
        """Keep what is right of an interrupted try, and remove the rest."""
        self.files = root / "files"
        self._parts = root / "parts"
        self._wanted = dict(entries)
        self._places: dict[str, str] = {}  # the first path of each digest
        for path, digest in entries:
            self._places.setdefault(digest, path)
        self._clean()
        for parent in {os.path.dirname(path) for path in self._wanted}:
            os.makedirs(self.files / parent, exist_ok=True)

    def _clean(self) -> None:
        left = list(files_below(self.files))
        right = in_threads(lambda path: hashes_to(self.files / path, self._wanted.get(path)), left)
        for path, keep in zip(left, right, strict=True):
            if not keep:
                remove_tree(self.files / path)
        hexes = {digest.removeprefix("sha256:") for digest in self._places}
        for part in self._parts.glob("*"):
            if part.name.partition(".")[0] not in hexes:
                remove_tree(part)

    def missing(self) -> list[str]:
        """Give the digests of what isn't here yet."""
        return [digest for digest, path in self._places.items() if not (self.files / path).exists()]

    def copy_from(self, blobs: Blobs, digests: Sequence[str], meter: Meter) -> None:
        """Copy what the cache has, checking it; what is wrong there is removed there."""

        def copied(digest: str) -> None:
            if os.path.exists(blobs.path(digest)) and not self._copy_blob(blobs, digest, meter):
                blobs.drop(digest)

        in_threads(copied, digests)

    def _copy_blob(self, blobs: Blobs, digest: str, meter: Meter) -> bool:
        target = self.files / self._places[digest]
        try:
            source = os.open(blobs.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # someone makes room, or it isn't ours to read
            return True
        made = create(target)
        try:
            right = hash_copy(source, made) == digest
            meter.add(os.fstat(made).st_size if right else 0, int(right))
        finally:
            os.close(source)
            os.close(made)
        if not right:
            target.unlink()
        return right

    def sink(self) -> FolderSink:
        """Give where fetched blobs go."""
        return FolderSink(self.files, self._parts, self._places)

    def copy_duplicates(self) -> None:
        """Make the files whose content another one has."""

        def copied(path: str) -> None:
            first = self._places[self._wanted[path]]
            if path != first and not (self.files / path).exists():
                _copy_file(self.files / first, self.files / path)

        in_threads(copied, list(self._wanted))


def holds(folder: Path, entries: Entries) -> bool:
    """Tell whether a folder has these files, byte for byte, and no others."""
    wanted = dict(entries)
    if set(files_below(folder)) != set(wanted):
        return False
    return all(in_threads(lambda path: hashes_to(folder / path, wanted[path]), list(wanted)))


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb", buffering=0) as file:
        made = create(target)
        try:
            copy(file.fileno(), made, os.fstat(file.fileno()).st_size)
        finally:
            os.close(made)
