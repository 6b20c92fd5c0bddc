"""The log in a folder, to be checked without a registry: `docs/operations/audit.md`.

`leaves` has the leaves one after another, each behind its length as a varint, as protobuf writes
delimited messages; `checkpoint` the signed checkpoint of them; `key` the log's public key. What
lies behind the checkpoint's entries is what was cut short, and counts for nothing.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from modelkeep._disk import sync
from modelkeep.checkpoints import Checkpoint, LogKey
from modelkeep.errors import AbortedError
from modelkeep.merkle import Tree, leaf_hash, wrong
from modelkeep.v1.event_pb2 import EventRecord, LogLeaf

LEAVES, CHECKPOINT, KEY = "leaves", "checkpoint", "key"
MAX_LEAF_BYTES = 2 * 1024 * 1024  # as long as the longest message


def read_leaf(stored: bytes, position: int) -> LogLeaf:
    """Read the leaf of a position, or raise `DataLossError`."""
    try:
        leaf = LogLeaf.FromString(stored)
        record = EventRecord.FromString(leaf.event)
    except DecodeError:
        raise wrong(f"events/{position} can't be read") from None
    if leaf.position != position:
        raise wrong(f"events/{position} says that it is events/{leaf.position}")
    if not record.event_id:
        raise wrong(f"events/{position} has no id")
    return leaf


class Reading:
    """Leaves that were read, one after another, and found to be a log so far."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._log_us = 0
        self._right = 0

    def take(self, stored: bytes) -> None:
        """Read the next leaf, or raise `DataLossError` that names the entry."""
        position = self.tree.size + 1
        leaf = read_leaf(stored, position)
        log_us = leaf.log_time.ToMicroseconds()
        if log_us < self._log_us:
            raise wrong(f"events/{position} is older than the one before it")
        self._log_us = log_us
        self.tree.add(leaf_hash(stored))

    def up_to(self, checkpoint: Checkpoint, leaves: Iterator[bytes], where: str) -> None:
        """Read on to a checkpoint, and see that it is borne out."""
        while self.tree.size < checkpoint.size:
            leaf = next(leaves, None)
            if leaf is None:
                raise wrong(
                    f"{where} ends with events/{self.tree.size}, and the checkpoint has "
                    f"{checkpoint.size} entries"
                )
            self.take(leaf)
        if self.tree.root() != checkpoint.root:
            raise wrong(
                f"events/{self._right + 1} to events/{checkpoint.size} are not all what the "
                f"checkpoint of {checkpoint.size} entries says"
            )
        self._right = checkpoint.size


def check(folder: Path, key: LogKey, others: Iterable[Checkpoint] = ()) -> tuple[Checkpoint, bool]:
    """Check an export, and that it bears out other checkpoints too.

    Answers its own, and whether something lies behind that. Raises `DataLossError` that names the
    first entry that is wrong, as far as that can be told: between the last checkpoint that is
    borne out and the first that is not.
    """
    own = key.opened(read_note(folder / CHECKPOINT))
    reading = Reading()
    with (folder / LEAVES).open("rb") as file:
        leaves = stored(file)
        for checkpoint in sorted({*others, own}, key=lambda one: one.size):
            reading.up_to(checkpoint, leaves, str(folder))
        end = file.tell()
        return own, file.seek(0, os.SEEK_END) > end


def go_on(
    folder: Path, key: LogKey, note: str, leaves_after: Callable[[int], Iterator[bytes]]
) -> Checkpoint:
    """Bring an export up to a checkpoint; what its own says is borne out first, by what is there.

    `leaves_after` gives the leaves behind a position. Where they don't fit nothing has changed.
    """
    target = key.opened(note)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / LEAVES) as file:
        reading = Reading()
        if (folder / CHECKPOINT).exists():
            own = key.opened(read_note(folder / CHECKPOINT))
            reading.up_to(own, stored(file), str(folder))
            if target.size < own.size:
                raise wrong(f"the log has {target.size} entries, and {folder} has {own.size}")
        end = file.tell()
        more = leaves_after(reading.tree.size)
        try:
            file.truncate(end)  # what was cut short
            reading.up_to(target, _written(file, more), "the log")
        except BaseException:
            file.truncate(end)
            raise
        file.flush()
        os.fsync(file.fileno())
        for name, text in ((KEY, f"{key}\n"), (CHECKPOINT, note)):
            _replace(folder / name, text)
    return target


def leaf_hashes(folder: Path, size: int) -> Iterator[bytes]:
    """Yield the hashes of an export's first leaves."""
    with (folder / LEAVES).open("rb") as file:
        yield from map(leaf_hash, islice(stored(file), size))


def stored(file: BinaryIO) -> Iterator[bytes]:
    """Yield the leaves of a file, up to one that was cut short."""
    while (length := _length(file)) is not None:
        leaf = file.read(length)
        if len(leaf) < length:
            return
        yield leaf


def framed(leaf: bytes) -> bytes:
    """Write a leaf behind its length."""
    head, rest = bytearray(), len(leaf)
    while rest > 0x7F:
        head.append(rest & 0x7F | 0x80)
        rest >>= 7
    head.append(rest)
    return bytes(head) + leaf


def known_key(folder: Path) -> LogKey | None:
    """Read the key that an export has, if there is an export."""
    try:
        return LogKey.parse(read_note(folder / KEY))
    except FileNotFoundError:
        return None
    except ValueError as problem:
        raise wrong(f"{folder / KEY} {problem}") from None


def read_note(path: Path) -> str:
    """Read a text as it stands; what is none is no proof."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise wrong(f"{path} is no text") from None


def _written(file: BinaryIO, leaves: Iterator[bytes]) -> Iterator[bytes]:
    for leaf in leaves:
        file.write(framed(leaf))
        yield leaf


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file that one writes at a time; refuse to wait for another."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AbortedError(
                "EXPORT_IN_PROGRESS", f"{path.parent} is being written by another; try again later"
            ) from None
        yield file


def _length(file: BinaryIO) -> int | None:
    """Read a length; each has one form, the shortest."""
    length = shift = 0
    while byte := file.read(1):
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            if (shift and not byte[0]) or length > MAX_LEAF_BYTES:
                break
            return length
        shift += 7
        if shift > 21:
            break
    else:
        return None
    raise wrong("the leaves are none: a length is not one that a leaf has")


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync(path.parent)
