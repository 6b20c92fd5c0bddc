"""A part on a local disk.

Whoever has it open holds a lock on its file, so that no other process takes it meanwhile; the
kernel lets go of it when the process ends.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelkeep.errors import AbortedError
from modelkeep_server.blobs.disk import Disk, read_blocks, write_all
from modelkeep_server.blobs.writers import Writers, lost

FLUSH_BYTES = 8 * 1024 * 1024
"""Twice this is the most that is sent again after a break."""


class LocalStagedBlob:
    """A part, in a file of its own."""

    is_readable = True

    def __init__(self, key: str, path: Path, published: Path, disk: Disk, writers: Writers) -> None:
        """Open the part, new or as it was left; what was published is taken back."""
        self.key = key
        self.size = 0
        self.flush_bytes = FLUSH_BYTES
        self._path = path
        self._published = published
        self._disk = disk
        self._writers = writers
        self._fd = -1
        self._lost = False
        self._entry_durable = False
        # Held while the file is changed, and while its descriptor is opened or closed.
        self._changing = threading.Lock()
        # Held while the file is synced, and taken before `_changing`. The kernel tells an error
        # to one fsync only, so `publish` waits for what `flush` hears.
        self._syncing = threading.Lock()
        self._open()

    def lose(self) -> None:
        """Change nothing any more: the part is someone else's from now on."""
        with self._changing:
            self._lost = True
            if self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def read(self) -> Iterator[bytes]:
        """Yield what is there, by blocks."""
        return read_blocks(self._fd, self.key, 0, self.size)

    def write(self, data: bytes) -> None:
        """Append all of `data`, or nothing where it raises."""
        with self._writable() as fd:
            try:
                write_all(fd, data, self.size)
            except BaseException:
                os.ftruncate(fd, self.size)
                raise
            self.size += len(data)

    def flush(self, *, last: bool = False) -> int:
        """Make durable what was written when this was called, and answer how much that is."""
        with self._syncing:
            with self._writable() as fd:
                size = self.size
            self._disk.sync(fd, data_only=True)
            if not self._entry_durable:
                self._disk.sync_folder(self._path.parent)
                self._entry_durable = True
        return size

    def truncate(self, size: int) -> None:
        """Drop what lies behind `size`."""
        with self._writable() as fd:
            if size > self.size:
                raise ValueError(f"{self.key} has {self.size} bytes, fewer than {size}")
            os.ftruncate(fd, size)
            self.size = size

    def publish(self) -> bool:
        """Make the bytes readable under the key, durable on return."""
        with self._syncing, self._writable() as fd:
            os.fchmod(fd, 0o400)
            self._disk.sync(fd)
            os.rename(self._path, self._published)
            self._disk.sync_folder(self._published.parent)
        self.close()
        return True

    def discard(self) -> None:
        """Drop the part. One that was taken over stays with who has it now."""
        try:
            with self._changing, self._disk.writing():
                if self._fd >= 0 and not self._lost:
                    self._path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Leave the part as it is, to be staged again. May be called again."""
        with self._syncing, self._changing:
            self._let_go()
        self._writers.leave(self)

    def _open(self) -> None:
        # `_changing` first: one who takes the part from this one waits for what this one waits.
        with self._changing, self._disk.writing():
            self._writers.take(self)
            try:
                self._fd = self._locked()
            except BaseException:
                self._writers.leave(self)
                raise
            self.size = os.fstat(self._fd).st_size

    def _locked(self) -> int:
        """Open the file, which nobody else may have open, and put it where parts are."""
        while True:
            path, fd = self._opened()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it locked until now may have moved it, or dropped it.
                if _is_at(fd, path):
                    if path != self._path:
                        os.rename(path, self._path)
                    return fd
            except BlockingIOError as held:
                os.close(fd)
                raise _held() from held
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _opened(self) -> tuple[Path, int]:
        with suppress(FileNotFoundError):
            self._published.chmod(0o600)
            return self._published, os.open(self._published, os.O_RDWR)
        with suppress(FileNotFoundError):
            self._path.chmod(0o600)
        return self._path, os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def _let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @contextmanager
    def _writable(self) -> Iterator[int]:
        with self._changing, self._disk.writing():
            if self._lost:
                raise lost()
            if self._fd < 0:
                raise ValueError(f"{self.key} is closed")
            yield self._fd


def remove_unless_locked(path: Path) -> None:
    """Drop a part's file, unless another process is writing it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(fd)


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _held() -> AbortedError:
    return AbortedError(
        "UPLOAD_IN_PROGRESS",
        "another process of this server is writing this part; try again",
        retry_after_seconds=1,
    )
