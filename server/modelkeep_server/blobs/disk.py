"""Writing to a local disk so that what is said to be durable is, and reading it back.

After a failed fsync the kernel may have dropped what it could not write, and it says so only
once. So no fsync is ever tried again: every later write is refused, and the app told to stop.
"""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelkeep.errors import DataLossError, ResourceExhaustedError, UnavailableError
from modelkeep_server.blobs.port import BLOCK

if sys.platform == "darwin":
    import fcntl

_FULL = {errno.ENOSPC, errno.EDQUOT}
_BROKEN = {errno.EIO, errno.EROFS}


class Disk:
    """What every write goes through: it tells what failed, and refuses all writes after it."""

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        """Tell `on_failure` once why nothing can be written any more; it only takes note."""
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._failed = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Refuse to write to a disk that failed, and translate what goes wrong."""
        self._check()
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise ResourceExhaustedError(
                    "STORAGE_FULL", "the server's disk is full", retry_after_seconds=60
                ) from error
            if error.errno in _BROKEN:
                raise self._fail(error) from error
            raise

    def sync(self, fd: int, *, data_only: bool = False) -> None:
        """Make a file durable, or only its bytes and size."""
        self._check()
        try:
            _sync(fd, data_only)
        except OSError as error:
            raise self._fail(error) from error
        # An error told elsewhere meanwhile may have been this file's.
        self._check()

    def sync_folder(self, path: Path) -> None:
        """Make durable which files a folder has."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def _check(self) -> None:
        if self._failed:
            raise _storage_failed()

    def _fail(self, error: OSError) -> UnavailableError:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            self._on_failure(f"the disk with the blobs failed: {error}")
        return _storage_failed()


def sync_path(path: Path) -> None:
    """Make a file or a folder durable that is no store's: a failure is told, and nothing stops."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, or raise with a part of it written."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest = rest[written:]
        offset += written


def read_blocks(fd: int, key: str, offset: int, end: int) -> Iterator[bytes]:
    """Yield a file's bytes by blocks, ending early where the file does."""
    while offset < end:
        wanted = min(BLOCK - offset % BLOCK, end - offset)
        try:
            piece = _read_all(fd, wanted, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise unreadable(key, offset) from error
        if not piece:
            return
        yield piece
        offset += len(piece)


def unreadable(key: str, offset: int) -> DataLossError:
    """Say that stored bytes can't be read."""
    return DataLossError(
        "BLOB_DAMAGED", f"blob {key} can't be read at byte {offset}", key=key, offset=offset
    )


def _read_all(fd: int, size: int, offset: int) -> bytes:
    data = os.pread(fd, size, offset)
    while len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
        data += more
    return data


def _sync(fd: int, data_only: bool) -> None:
    if sys.platform == "darwin":
        # There fsync leaves the bytes in the drive's cache.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif data_only:
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def _storage_failed() -> UnavailableError:
    return UnavailableError(
        "STORAGE_FAILED",
        "the disk with the blobs failed, so the server stops; whether this write was made is "
        "known after its restart",
    )
