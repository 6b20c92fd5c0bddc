"""What this machine can do at best: the rates that modelkeep's are held against."""

import hashlib
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

MIB = 1024 * 1024


def seconds(work: Callable[[], object]) -> float:
    """Tell how long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def sha256_rate(data: bytes) -> float:
    """Tell one core's sha256 rate, in MiB/s."""
    return len(data) / MIB / seconds(lambda: hashlib.sha256(data))


def direct_write_rate(folder: Path, size_mib: int) -> float:
    """Tell the rate of writing past the page cache, durable, in MiB/s."""
    path = folder / "direct"
    buffer = mmap.mmap(-1, MIB)
    buffer.write(os.urandom(MIB))

    def write() -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
        for _ in range(size_mib):
            os.write(fd, buffer)
        os.fsync(fd)
        os.close(fd)

    rate = size_mib / seconds(write)
    path.unlink()
    return rate


def hash_and_write_rate(folder: Path, data: bytes) -> float:
    """Tell the rate of hashing bytes and writing them to a file, by the MiB; MiB/s."""
    path = folder / "written"

    def work() -> None:
        hasher = hashlib.sha256()
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(data), MIB):
                chunk = data[start : start + MIB]
                hasher.update(chunk)
                file.write(chunk)
            os.fsync(file.fileno())

    rate = len(data) / MIB / seconds(work)
    path.unlink()
    return rate


def local_files_rate(folder: Path, blobs: list[bytes]) -> float:
    """Tell how many files a second are hashed, written, fsynced and renamed here."""
    folder.mkdir(exist_ok=True)

    def write() -> None:
        for blob in blobs:
            name = hashlib.sha256(blob).hexdigest()
            fd = os.open(folder / f"{name}.part", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, blob)
            os.fsync(fd)
            os.close(fd)
            os.rename(folder / f"{name}.part", folder / name)

    rate = len(blobs) / seconds(write)
    for path in folder.iterdir():
        path.unlink()
    return rate
