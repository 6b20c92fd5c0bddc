"""The log in a folder, to be checked without a registry: `docs/operations/audit.md`.

`leaves` has the leaves one after another, each behind its length as a varint, as protobuf writes
delimited messages; `checkpoint` the signed checkpoint of them all; `key` the log's public key.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from modelkeep.checkpoints import Checkpoint, LogKey
from modelkeep.merkle import Tree, leaf_hash, wrong
from modelkeep.v1.event_pb2 import EventRecord, LogLeaf

LEAVES, CHECKPOINT, KEY = "leaves", "checkpoint", "key"


@dataclass(slots=True)
class Reading:
    """Leaves that were read, one after another, and found to be a log so far."""

    tree: Tree
    log_us: int = 0

    def take(self, stored: bytes) -> None:
        """Read the next leaf, or raise `DataLossError` that names the entry."""
        position = self.tree.size + 1
        try:
            leaf = LogLeaf.FromString(stored)
            record = EventRecord.FromString(leaf.event)
        except DecodeError:
            raise wrong(f"events/{position} can't be read") from None
        if leaf.position != position:
            raise wrong(f"events/{position} says that it is events/{leaf.position}")
        log_us = leaf.log_time.ToMicroseconds()
        if log_us < self.log_us:
            raise wrong(f"events/{position} is older than the one before it")
        if not record.event_id:
            raise wrong(f"events/{position} has no id")
        self.log_us = log_us
        self.tree.add(leaf_hash(stored))


def check(folder: Path, key: LogKey, others: Iterable[Checkpoint] = ()) -> Checkpoint:
    """Check an export, and that it bears out other checkpoints too; answer its own.

    Raises `DataLossError` `PROOF_INVALID` that names the first entry that is wrong, as far as that
    can be told: between the last checkpoint that is borne out and the first that is not.
    """
    own = key.opened((folder / CHECKPOINT).read_text())
    wanted = sorted({*others, own}, key=lambda one: one.size)
    reading = Reading(Tree())
    right = 0
    with (folder / LEAVES).open("rb") as file:
        found = stored(file)
        for checkpoint in wanted:
            while reading.tree.size < checkpoint.size:
                leaf = next(found, None)
                if leaf is None:
                    raise wrong(
                        f"{folder} ends with events/{reading.tree.size}, and the checkpoint has "
                        f"{checkpoint.size} entries"
                    )
                reading.take(leaf)
            agree(checkpoint, reading.tree, right)
            right = checkpoint.size
        if next(found, None) is not None:
            raise wrong(f"{folder} has more entries than its checkpoint, which has {own.size}")
    return own


def agree(checkpoint: Checkpoint, tree: Tree, right: int) -> None:
    """See that a tree is what a checkpoint of its size says; `right` is the last that was."""
    if tree.root() != checkpoint.root:
        raise wrong(
            f"events/{right + 1} to events/{checkpoint.size} are not all what the checkpoint of "
            f"{checkpoint.size} entries says"
        )


def go_on(folder: Path, leaves: Iterator[bytes], note: str, key: LogKey) -> Checkpoint:
    """Add the leaves that an export lacks, up to a checkpoint; what was there must be borne out.

    `leaves` are those behind `size(folder)`. Nothing of the export changes where they don't fit.
    """
    target = key.opened(note)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LEAVES).open("a+b") as file:
        whole = file.seek(0)
        reading = Reading(Tree())
        for leaf in stored(file):
            reading.take(leaf)
            whole += len(_framed(leaf))
        file.truncate(whole)  # what was cut short
        try:
            while reading.tree.size < target.size:
                leaf = next(leaves, b"")
                reading.take(leaf)
                file.write(_framed(leaf))
            agree(target, reading.tree, 0)
        except BaseException:
            file.truncate(whole)
            raise
        file.flush()
        os.fsync(file.fileno())
    for name, text in ((KEY, f"{key}\n"), (CHECKPOINT, note)):
        _replace(folder / name, text)
    return target


def size(folder: Path) -> int:
    """Tell how many leaves an export has."""
    try:
        with (folder / LEAVES).open("rb") as file:
            return sum(1 for _ in stored(file))
    except FileNotFoundError:
        return 0


def leaf_hashes(folder: Path) -> Iterator[bytes]:
    """Yield the hashes of an export's leaves."""
    with (folder / LEAVES).open("rb") as file:
        yield from map(leaf_hash, stored(file))


def stored(file: BinaryIO) -> Iterator[bytes]:
    """Yield the leaves of a file, up to one that was cut short."""
    while (length := _length(file)) is not None:
        leaf = file.read(length)
        if len(leaf) < length:
            return
        yield leaf


def known_key(folder: Path) -> LogKey | None:
    """Read the key that an export has, if there is an export."""
    try:
        return LogKey.parse((folder / KEY).read_text())
    except FileNotFoundError:
        return None
    except ValueError as problem:
        raise wrong(f"{folder / KEY} {problem}") from None


def _length(file: BinaryIO) -> int | None:
    length = shift = 0
    while byte := file.read(1):
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return length
        shift += 7
        if shift > 28:
            raise wrong("the leaves are none: a length is too long")
    return None


def _framed(leaf: bytes) -> bytes:
    head, rest = bytearray(), len(leaf)
    while rest > 0x7F:
        head.append(rest & 0x7F | 0x80)
        rest >>= 7
    head.append(rest)
    return bytes(head) + leaf


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    os.replace(beside, path)
