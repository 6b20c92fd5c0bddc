"""A part on a local disk, and who writes it."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from modelkeep.errors import AbortedError
from modelkeep_server.blobs.disk import Disk, read_blocks, write_all


class LocalStagedBlob:
    """A part, in a file of its own."""

    def __init__(
        self, key: str, path: Path, published: Path, disk: Disk, writers: "Writers"
    ) -> None:
        """Open the part, new or as it was left; what was published is taken back."""
        self.key = key
        self.size = 0
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

    def flush(self) -> int:
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

    def publish(self) -> None:
        """Make the bytes readable under the key, durable on return."""
        with self._syncing, self._writable() as fd:
            os.fchmod(fd, 0o400)
            self._disk.sync(fd)
            os.rename(self._path, self._published)
            self._disk.sync_folder(self._published.parent)
        self.close()

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
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)
        self._writers.leave(self)

    def _open(self) -> None:
        # `_changing` first: one who takes the part from this one waits for what this one waits.
        with self._changing, self._disk.writing():
            self._writers.take(self)
            try:
                with suppress(FileNotFoundError):
                    os.rename(self._published, self._path)
                with suppress(FileNotFoundError):
                    self._path.chmod(0o600)
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except BaseException:
                self._writers.leave(self)
                raise
            self.size = os.fstat(self._fd).st_size

    @contextmanager
    def _writable(self) -> Iterator[int]:
        with self._changing, self._disk.writing():
            if self._lost:
                raise AbortedError("UPLOAD_LEASE_LOST", "another upload went on with this part")
            if self._fd < 0:
                raise ValueError(f"{self.key} is closed")
            yield self._fd


class Writers:
    """Who writes which part: the last who took it."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._lock = threading.Lock()
        self._parts: dict[str, LocalStagedBlob] = {}
        self._put: set[str] = set()

    def take(self, part: LocalStagedBlob) -> None:
        """Make this the writer, once the one before has stopped."""
        with self._lock:
            earlier = self._parts.get(part.key)
            self._parts[part.key] = part
        if earlier is not None:
            earlier.lose()

    def leave(self, part: LocalStagedBlob) -> None:
        """Take note that this one writes no more."""
        with self._lock:
            if self._parts.get(part.key) is part:
                del self._parts[part.key]

    @contextmanager
    def putting(self, keys: Sequence[str]) -> Iterator[None]:
        """Mark files that are no parts, while they are written."""
        with self._lock:
            self._put.update(keys)
        try:
            yield
        finally:
            with self._lock:
                self._put.difference_update(keys)

    def free(self, keys: Sequence[str]) -> list[str]:
        """Tell which of these nobody writes."""
        with self._lock:
            return [key for key in keys if not self._is_busy(key)]

    @contextmanager
    def unless_busy(self, key: str) -> Iterator[bool]:
        """Tell whether nobody writes this, and let nobody begin meanwhile."""
        with self._lock:
            yield not self._is_busy(key)

    def _is_busy(self, key: str) -> bool:
        return key in self._parts or key in self._put
