"""The log's tree of hashes, and the proofs that anyone can check with it: RFC 6962, RFC 9162 §2.1.

A leaf's hash is sha256(0x00 ‖ leaf), a node's sha256(0x01 ‖ left ‖ right), and the empty tree's
sha256 of nothing. A tree of n leaves has the largest power of two below n on its left.
`tests/vectors/merkle.json` states the same for every language.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from modelkeep.errors import DataLossError

EMPTY_ROOT = hashlib.sha256().digest()


def wrong(text: str) -> DataLossError:
    """Say that what was shown of a log doesn't add up: it was changed, or is another's."""
    return DataLossError("PROOF_INVALID", text)


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that leaves are added to, of which as much is kept as the next root needs."""

    def __init__(self) -> None:
        """Begin without a leaf."""
        self.size = 0
        self._whole: list[bytes] = []  # the roots of its complete subtrees, from the left

    def add(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._whole.pop(), node)
            size >>= 1
        self._whole.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Tell the hash of the whole tree."""
        return joined(self._whole)


def joined(subtrees: Sequence[bytes]) -> bytes:
    """Join the hashes of a tree's complete subtrees, the largest first, into its own."""
    if not subtrees:
        return EMPTY_ROOT
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = node_hash(left, root)
    return root


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """See that the leaf of this hash is in a tree, at an index from 0, or raise `DataLossError`."""
    if not 0 <= index < size:
        raise wrong(f"a tree of {size} leaves has none at {index}")
    found, at, last = leaf, index, size - 1
    used = 0
    for sibling in proof:
        if last == 0:
            break
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
        used += 1
    if last or used < len(proof) or found != root or not _are_hashes(proof):
        raise wrong(f"leaf {index} is not shown to be in the tree of {size} leaves")


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """See that a tree begins with all leaves of an older one, or raise `DataLossError`."""
    refusal = wrong(f"the tree of {new_size} leaves is not shown to go on from that of {old_size}")
    if not 0 <= old_size <= new_size or not _are_hashes(proof):
        raise refusal
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != expected:
            raise refusal
        return
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    rest = iter(proof if at else [old_root, *proof])  # a power of two is a subtree of its own
    first = next(rest, None)
    if first is None:
        raise refusal
    old = new = first
    for sibling in rest:
        if last == 0:
            raise refusal
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    if last or old != old_root or new != new_root:
        raise refusal


def _are_hashes(proof: Sequence[bytes]) -> bool:
    return all(len(one) == len(EMPTY_ROOT) for one in proof)


class Nodes(Protocol):
    """The hashes of a tree's complete subtrees."""

    def node(self, level: int, index: int) -> bytes:
        """Tell the hash over the leaves from `index << level` on, `1 << level` of them."""


def root(nodes: Nodes, size: int) -> bytes:
    """Tell the hash of the tree of the first leaves."""
    return _hash(nodes, 0, size) if size else EMPTY_ROOT


def inclusion(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """Prove that a leaf is in the tree of the first leaves; `0 <= index < size`."""
    return [_hash(nodes, *one) for one in _siblings(index, size)]


def consistency(nodes: Nodes, old_size: int, new_size: int) -> list[bytes]:
    """Prove that one tree begins with the leaves of another; `0 <= old_size <= new_size`."""
    if old_size in (0, new_size):
        return []
    # The last complete subtree of the old tree, and the siblings of its way up the new one.
    width = old_size & -old_size
    ranges = [] if width == old_size else [(old_size - width, old_size)]
    return [_hash(nodes, *one) for one in (*ranges, *_siblings(old_size - width, new_size, width))]


def _siblings(index: int, size: int, width: int = 1) -> Iterable[tuple[int, int]]:
    """List the ranges beside the way from a subtree of so many leaves up to the root."""
    begin, end, found = 0, size, list[tuple[int, int]]()
    while end - begin > width:
        middle = begin + _left(end - begin)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    return reversed(found)


def _hash(nodes: Nodes, begin: int, end: int) -> bytes:
    return joined([nodes.node(level, index) for level, index in _complete(begin, end)])


def _complete(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a subtree's range into complete subtrees, the largest first."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def _left(size: int) -> int:
    """Tell the largest power of two below a size of at least two."""
    return 1 << ((size - 1).bit_length() - 1)
