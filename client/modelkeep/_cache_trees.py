"""Trees: the folders that a pull without a destination answers, made of links to blobs."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelkeep._cache_blobs import LARGE, Blobs, is_right, mark
from modelkeep._disk import copy, create, files_below, move, remove_tree

Entries = Sequence[tuple[str, str]]
"""(path, digest) of each file, in the order of a manifest."""


@dataclass(frozen=True, slots=True)
class Trees:
    """The trees below a cache's folder; each is named by the digest of its manifest."""

    blobs: Blobs

    def path(self, digest: str) -> Path:
        """Tell where a tree is, or would be."""
        hexes = digest.removeprefix("sha256:")
        return self.blobs.root / "trees" / "sha256" / hexes[:2] / hexes

    def find(self, digest: str, entries: Entries) -> Path | None:
        """Give a tree that is here; one that isn't right any more is removed."""
        path = self.path(digest)
        if not path.is_dir():
            return None
        if set(files_below(path)) == {name for name, _ in entries} and all(
            is_right(path / name, wanted) for name, wanted in entries
        ):
            with contextlib.suppress(OSError):  # another user's cache
                os.utime(path)
            return path
        self.remove(path)
        return None

    def make(self, digest: str, entries: Entries) -> Path:
        """Make a tree of blobs that are all here."""
        building = self.blobs.temporary()
        try:
            for name, wanted in entries:
                self._link(self.blobs.path(wanted), building / name)
            try:
                move(building, self.path(digest))
            except OSError:  # someone else made it
                if not self.path(digest).is_dir():
                    raise
        finally:
            remove_tree(building)
        return self.path(digest)

    def remove(self, path: Path) -> None:
        """Take a tree away, all at once for those who look."""
        aside = self.blobs.temporary()
        try:
            move(path, aside)
        except FileNotFoundError:
            return
        remove_tree(aside)

    def _link(self, blob: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blob, target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links, or a blob that has too many
            self._copy(blob, target)

    def _copy(self, blob: Path, target: Path) -> None:
        source = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
        made = create(target, 0o444)
        try:
            info = os.fstat(source)
            copy(source, made, info.st_size)
            if info.st_size >= LARGE:
                mark(made)
        finally:
            os.close(made)
            os.close(source)
