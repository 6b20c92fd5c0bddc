"""The cache on this machine: what it has, and making room."""

import builtins
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from modelkeep._cache_blobs import Blobs
from modelkeep._cache_trees import Trees
from modelkeep._disk import disk_errors, remove_tree, token
from modelkeep._refs import PathLike
from modelkeep._types import CacheEntry

_ABANDONED_SECONDS = 24 * 3600
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by modelkeep; see bford.info/cachedir\n"


class Cache:
    """A folder that keeps what was pulled, once, for any number of processes.

    `docs/reference/cache.md` has its layout and rules.
    """

    def __init__(self, path: PathLike | None = None) -> None:
        """Use this folder, or `MODELKEEP_CACHE`, or `modelkeep` in the user's cache folder."""
        self.path = Path(os.path.abspath(path or os.environ.get("MODELKEEP_CACHE") or _usual()))
        self.blobs = Blobs(self.path)
        self.trees = Trees(self.blobs)
        self.parts = self.path / "parts"

    def make(self) -> None:
        """Make its folder, for its owner alone, marked so that backups leave it out."""
        if not self.path.is_dir():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / "CACHEDIR.TAG").write_text(_TAG)

    def list(self) -> list[CacheEntry]:
        """Tell what is here, what was used last first."""
        with disk_errors():
            entries = [entry for _, entry in self._entries()]
        return sorted(entries, key=lambda entry: entry.used_time, reverse=True)

    def prune(self, max_size: int = 0) -> builtins.list[CacheEntry]:
        """Remove what was not used for longest until at most so many bytes are kept.

        Gives what it removed. What another process has open stays readable to it, but a tree
        that someone works in is taken away under them: keep `max_size` above what is in use.
        Downloads under way are left alone.
        """
        with disk_errors():
            self.sweep()
            return self._prune(max_size)

    def sweep(self) -> None:
        """Remove what killed processes left and nobody took up for a day."""
        for folder in (self.parts, self.path / "tmp"):
            for path in folder.glob("*"):
                try:
                    info = path.stat()
                except FileNotFoundError:
                    continue
                # A blob that is about to get its name has the mark as its time of modification.
                if time.time() - max(info.st_mtime, info.st_atime) > _ABANDONED_SECONDS:
                    remove_tree(path)

    def _prune(self, max_size: int) -> builtins.list[CacheEntry]:
        found = [one for one in self._entries() if one[1].kind != "part"]
        found.sort(key=lambda one: (one[1].used_time, one[1].kind != "tree"))
        excess = sum(entry.size for _, entry in found) - max_size
        removed: list[CacheEntry] = []
        held: list[tuple[Path, CacheEntry]] = []  # shared with trees that are still there
        for path, entry in found:
            if entry.kind == "blob" and _links(path) > 1:
                held.append((path, entry))
                continue
            todo = [(path, entry)]
            while todo and excess > 0:
                path, entry = todo.pop(0)
                self._remove(path, entry)
                removed.append(entry)
                excess -= entry.size
                if entry.kind == "tree":
                    todo = [one for one in held if _links(one[0]) == 1]
                    held = [one for one in held if one not in todo]
        return removed

    def _remove(self, path: Path, entry: CacheEntry) -> None:
        if entry.kind == "tree":
            self.trees.remove(path)
        else:
            remove_tree(path)

    def _entries(self) -> Iterator[tuple[Path, CacheEntry]]:
        """Yield what is here; what vanishes meanwhile is left out."""
        for path in self.path.glob("trees/sha256/*/*"):
            sizes = [_size(file) for file in path.rglob("*") if _links(file) == 1]
            yield from _entry("tree", path, sum(sizes))
        for path in self.path.glob("blobs/sha256/*/*"):
            yield from _entry("blob", path, _size(path))
        for path in self.parts.glob("*"):
            if path.suffix != ".claim" and path.suffix != ".blocks":
                yield from _entry("part", path, _size(path))


def _entry(kind: str, path: Path, size: int) -> Iterator[tuple[Path, CacheEntry]]:
    try:
        info = path.stat()
    except OSError:
        return
    # Reading a folder would change its access time, and we read it to tell its size.
    used = datetime.fromtimestamp(info.st_mtime if kind == "tree" else info.st_atime, UTC)
    yield path, CacheEntry(kind, f"sha256:{path.name.partition('.')[0]}", size, used)


def _size(path: Path) -> int:
    """Tell how many bytes a file has, not counting what is only reserved."""
    try:
        info = path.stat()
    except OSError:
        return 0
    return min(info.st_size, info.st_blocks * 512)


def _links(path: Path) -> int:
    try:
        info = path.stat()
    except OSError:
        return 0
    return info.st_nlink if stat.S_ISREG(info.st_mode) else 0


def _usual() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "modelkeep"
    try:
        return Path.home() / ".cache" / "modelkeep"
    except RuntimeError:  # a user without a home, in a container: nobody can guess this name
        return Path(tempfile.gettempdir()) / f"modelkeep-{token()}"
