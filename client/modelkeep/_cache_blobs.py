"""The blobs of a cache: whole, read-only, named by their digest.

`docs/reference/cache.md` is the full statement, for every language.

* A blob of 1 MiB or more is synced before it has its name, and then trusted as long as its
  time of modification is `MARK_NS`, which any write to it changes.
* A smaller one isn't synced, and hashed whenever it's used: that costs no more than opening it.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from modelkeep._disk import create, hash_descriptor, hashes_to, move, token, write_all

LARGE = 1024 * 1024
MARK_NS = 1_000_000_000
_USED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Blobs:
    """The blobs below a cache's folder."""

    root: Path

    def path(self, digest: str) -> Path:
        """Tell where a blob is, or would be."""
        hexes = digest.removeprefix("sha256:")
        return self.root / "blobs" / "sha256" / hexes[:2] / hexes

    def temporary(self) -> Path:
        """Give a name that nothing has, on the cache's file system."""
        return self.root / "tmp" / token()

    def find(self, digest: str) -> Path | None:
        """Give the file of a blob that is here; one that isn't right is removed."""
        path = self.path(digest)
        if not os.path.exists(path):
            return None
        if is_right(path, digest):
            touch(path)
            return path
        self.drop(digest)
        return None

    def read(self, digest: str) -> bytes | None:
        """Give the bytes of a blob that is here, unless someone takes it away just now."""
        if (path := self.find(digest)) is not None:
            with contextlib.suppress(FileNotFoundError):
                return path.read_bytes()
        return None

    def add(self, digest: str, data: bytes) -> None:
        """Keep a blob that is in memory, whose digest the caller checked."""
        temporary = self.temporary()
        descriptor = create(temporary, 0o444)
        try:
            write_all(descriptor, data)
            if len(data) >= LARGE:
                mark(descriptor)
        except BaseException:
            temporary.unlink()
            raise
        finally:
            os.close(descriptor)
        move(temporary, self.path(digest))

    def publish(self, part: Path, digest: str) -> None:
        """Give a finished part, whose digest the caller checked, its name."""
        descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size >= LARGE:
                mark(descriptor)
            os.fchmod(descriptor, 0o444)
        finally:
            os.close(descriptor)
        move(part, self.path(digest))

    def drop(self, digest: str) -> None:
        """Remove a blob that isn't right, where that may be done.

        It's looked at once more where nobody finds it: another process may have brought a right
        one since.
        """
        path, aside = self.path(digest), self.temporary()
        with contextlib.suppress(OSError):
            move(path, aside)
            if not aside.is_symlink() and hashes_to(aside, digest):
                move(aside, path)
            else:
                aside.unlink()


def is_right(path: Path, digest: str) -> bool:
    """Tell whether a file of the cache has this content, by its mark or by hashing it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        info = os.fstat(descriptor)
        if info.st_size >= LARGE and info.st_mtime_ns == MARK_NS:
            return True
        if hash_descriptor(descriptor) != digest:
            return False
        if info.st_size >= LARGE:
            mark(descriptor)
        return True
    except OSError:  # unreadable, or not ours to mark
        return False
    finally:
        os.close(descriptor)


def mark(descriptor: int) -> None:
    """Put a blob's bytes on the disk, then the mark that says that they are checked."""
    os.fsync(descriptor)
    os.utime(descriptor, ns=(time.time_ns(), MARK_NS))


def touch(path: Path) -> None:
    """Note that a blob was used, for `prune`; its mark stays."""
    with contextlib.suppress(OSError):  # another user's cache, or gone
        info = path.stat()
        if time.time() - info.st_atime > _USED_SECONDS:
            os.utime(path, ns=(time.time_ns(), info.st_mtime_ns))
