"""What the SDK does to local files, and errors of the disk as ours."""

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelkeep.errors import Error, FailedPreconditionError, ResourceExhaustedError
from modelkeep.names import shown

BLOCK = 1024 * 1024
_SYNCING = 16

_LONGEST_PATH = 4096  # it's this user's own
_FIRST = 64 * 1024
_FICLONE = 0x40049409
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Raise what the disk says as one of our errors, which names the file."""
    try:
        yield
    except OSError as problem:
        raise _error(problem) from None


def _error(problem: OSError) -> Error:
    path = shown(str(problem.filename or "a file"), _LONGEST_PATH)
    text = problem.strerror or str(problem)
    if problem.errno in _FULL:
        return ResourceExhaustedError("DISK_FULL", f"no room on this disk for {path}", path=path)
    return FailedPreconditionError("DISK_FAILED", f"{path}: {text}", path=path)


def token() -> str:
    """Give a name that nothing else has."""
    return secrets.token_hex(8)


def create(path: Path, mode: int = 0o666) -> int:
    """Make a file that isn't there yet, with its folder; gives a descriptor."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, mode)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, mode)


def write_all(descriptor: int, data: bytes | memoryview, offset: int = 0) -> None:
    """Write bytes at an offset, all of them."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def move(source: Path, target: Path) -> None:
    """Rename within a file system, making the target's folder; replaces a file there."""
    try:
        os.rename(source, target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(source, target)


def share(source: int, target: int) -> bool:
    """Give the target the source's blocks, copied only when written; tell whether that works."""
    try:
        import fcntl  # not everywhere

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def copy(source: int, target: int, size: int) -> None:
    """Copy bytes from the start, inside the kernel where it can."""
    if share(source, target):
        return
    done = 0
    try:
        while done < size and (
            count := os.copy_file_range(source, target, size - done, done, done)
        ):
            done += count
    except (AttributeError, OSError):  # between file systems, or not on this one
        pass
    while data := os.pread(source, BLOCK, done):
        write_all(target, data, done)
        done += len(data)


def hash_copy(source: int, target: int) -> str:
    """Copy bytes from the start; give the digest of what was copied."""
    if share(source, target):
        return hash_descriptor(target)
    hasher, done = hashlib.sha256(), 0
    for block in _blocks(source):
        hasher.update(block)
        write_all(target, block, done)
        done += len(block)
    return f"sha256:{hasher.hexdigest()}"


def hash_descriptor(descriptor: int, tell: Callable[[int], None] | None = None) -> str:
    """Give the digest of the rest of an open file; `tell` hears of each block's size."""
    hasher = hashlib.sha256()
    for block in _blocks(descriptor):
        hasher.update(block)
        if tell is not None:
            tell(len(block))
    return f"sha256:{hasher.hexdigest()}"


def hashes_to(path: Path, digest: str | None) -> bool:
    """Tell whether a file can be read and has this digest."""
    try:
        with open(path, "rb", buffering=0) as file:
            return hash_descriptor(file.fileno()) == digest
    except OSError:
        return False


def _blocks(descriptor: int) -> Iterator[bytes | memoryview]:
    """Yield the rest of an open file; each block is good until the next one is asked for."""
    if first := os.read(descriptor, _FIRST):  # mostly all of it: a large buffer costs more
        yield first
    if len(first) == _FIRST:
        buffer = memoryview(bytearray(BLOCK))
        while size := os.readv(descriptor, [buffer]):
            yield buffer[:size]


def files_below(top: Path) -> Iterator[str]:
    """Yield the paths of all that isn't a folder, as in a manifest."""
    for folder, _, names in os.walk(top):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), top)


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it's there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync_tree(top: Path) -> None:
    """Make a folder durable with all that is in it, so that a rename can't outrun its bytes."""
    folders = [Path(path) for path, _, _ in os.walk(top)]
    files = [top / path for path in files_below(top)]
    with ThreadPoolExecutor(_SYNCING, "modelkeep-sync") as pool:
        for _ in pool.map(sync, [*files, *folders]):
            pass


def sync(path: Path) -> None:
    """Make a file durable, or which files a folder has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Let two names change places, in one step where the system can do that."""
    with contextlib.suppress(AttributeError, OSError):
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
        if renameat2(*paths, _RENAME_EXCHANGE) == 0:
            return
    aside = one.with_name(f"{one.name}.{token()}")
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except BaseException:
        os.rename(aside, other)
        raise
    os.rename(aside, one)
