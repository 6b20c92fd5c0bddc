"""Parts: blobs that are being downloaded, in blocks that may come in any order.

Beside a part lies a journal of the blocks that are whole, four bytes each, so that a pull that
was killed goes on where it was. What is in a part is believed only by the hash of all of it.
"""

import contextlib
import hashlib
import os
import struct
import threading
from pathlib import Path

from modelkeep._disk import BLOCK, token, write_all

BLOCK_BYTES = 4 * 1024 * 1024
RANGE_BYTES = 16 * BLOCK_BYTES
_CATCH_UP = (
    4 * BLOCK
)  # a write hashes no more than this of what came before, so that it isn't held up


class Part:
    """A part that this process alone writes to, from several threads."""

    def __init__(self, path: Path, digest: str, size: int) -> None:
        self.path = path
        self.digest = digest
        self.size = size
        self._journal = path.with_name(f"{path.name}.blocks")
        self._done = bytearray(-(-size // BLOCK_BYTES))
        self._hasher = hashlib.sha256()
        self._hashed = 0
        self._hashing = threading.Lock()
        self._writing = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._log = os.open(
            self._journal, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        self._resume()
        self.resumed = any(self._done)

    def _resume(self) -> None:
        journal = os.pread(self._log, 4 * len(self._done), 0)
        for (block,) in struct.iter_unpack("<I", journal[: len(journal) // 4 * 4]):
            if block < len(self._done):
                self._done[block] = 1
        with contextlib.suppress(AttributeError, OSError):
            os.posix_fallocate(self._file, 0, self.size)
        os.ftruncate(self._file, self.size)

    @property
    def received(self) -> int:
        """How many bytes are here in whole blocks."""
        whole = sum(self._done) * BLOCK_BYTES
        short = len(self._done) * BLOCK_BYTES - self.size if self._done[-1] else 0
        return whole - short

    def missing(self) -> list[tuple[int, int]]:
        """Give the ranges still to come, (offset, length), none longer than 64 MiB."""
        ranges: list[tuple[int, int]] = []
        for block, done in enumerate(self._done):
            start = block * BLOCK_BYTES
            end = min(start + BLOCK_BYTES, self.size)
            if done:
                continue
            if ranges and sum(ranges[-1]) == start and start % RANGE_BYTES:
                ranges[-1] = (ranges[-1][0], end - ranges[-1][0])
            else:
                ranges.append((start, end - start))
        return ranges

    def write(self, offset: int, data: bytes) -> None:
        """Keep bytes; those of a block must come in order, from its start."""
        with self._writing:  # the kernel lets one write at a time, and the others spin
            write_all(self._file, data, offset)
        end = offset + len(data)
        for block in range(offset // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            if end >= min((block + 1) * BLOCK_BYTES, self.size):
                self._done[block] = 1
                os.write(self._log, struct.pack("<I", block))
        if self._hashing.acquire(blocking=False):
            try:
                if offset == self._hashed:
                    self._hasher.update(data)
                    self._hashed = end
                else:
                    self._catch_up(_CATCH_UP)
            finally:
                self._hashing.release()

    def finish(self) -> bool:
        """Hash what isn't hashed yet; tell whether the content is right, and if so, close it."""
        with self._hashing:
            self._catch_up(self.size)
            if f"sha256:{self._hasher.hexdigest()}" != self.digest:
                return False
        self.close()
        return True

    def forget(self) -> None:
        """Remove its journal, once its bytes have their name: until then a pull may be killed."""
        self._journal.unlink(missing_ok=True)

    def restart(self) -> None:
        """Forget all of it."""
        os.ftruncate(self._log, 0)
        self._done = bytearray(len(self._done))
        self._hasher, self._hashed = hashlib.sha256(), 0
        self.resumed = False

    def close(self) -> None:
        """Close its files, which stay."""
        os.close(self._log)
        os.close(self._file)

    def _catch_up(self, limit: int) -> None:
        """Hash bytes that came before their turn, at most so many."""
        end = min(self._hashed + limit, self._contiguous())
        while self._hashed < end:
            data = os.pread(self._file, min(BLOCK, end - self._hashed), self._hashed)
            self._hasher.update(data)
            self._hashed += len(data)

    def _contiguous(self) -> int:
        block = self._hashed // BLOCK_BYTES
        while block < len(self._done) and self._done[block]:
            block += 1
        return max(self._hashed, min(block * BLOCK_BYTES, self.size))

    def leave(self) -> None:
        """Let the next pull go on with it."""
        self.close()
        free = self.path.with_name(_free(self.digest))
        with contextlib.suppress(OSError):  # taken away: then it isn't ours to leave
            os.rename(self._journal, free.with_name(f"{free.name}.blocks"))
            os.rename(self.path, free)


def adopt_part(folder: Path, digest: str, name: str, left: str) -> None:
    """Take over what an interrupted pull left of a blob, under this name."""
    for old in filter(None, (left, _free(digest))):
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder / old, folder / name)
            os.rename(folder / f"{old}.blocks", folder / f"{name}.blocks")
            return


def part_name(digest: str) -> str:
    """Give a name for a part that nobody else has."""
    return f"{digest.removeprefix('sha256:')}.{token()}"


def _free(digest: str) -> str:
    return f"{digest.removeprefix('sha256:')}.free"
