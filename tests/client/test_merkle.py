"""The log's tree: RFC 6962's own numbers, and no proof of what is not so."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.errors import DataLossError
from modelkeep.merkle import (
    EMPTY_ROOT,
    Tree,
    check_consistency,
    check_inclusion,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    root,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "merkle.json").read_text("ascii"))
LEAVES = [leaf_hash(b"%d" % number) for number in range(70)]

SIZES = st.integers(1, len(LEAVES))


def defined(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return node_hash(defined(leaves[:left]), defined(leaves[left:]))


class Nodes:
    """All subtrees, made anew each time."""

    def node(self, level: int, index: int) -> bytes:
        leaves = LEAVES[index << level : (index + 1) << level]
        assert len(leaves) == 1 << level
        return defined(leaves)


NODES = Nodes()


def test_a_tree_has_the_root_that_is_defined() -> None:
    tree = Tree()
    for size in range(len(LEAVES) + 1):
        assert tree.root() == root(NODES, size) == defined(LEAVES[:size])
        if size < len(LEAVES):
            tree.add(LEAVES[size])
            assert tree.size == size + 1


def test_every_leaf_of_every_tree_is_proven_and_every_tree_goes_on_from_those_before() -> None:
    for size in range(1, len(LEAVES) + 1):
        whole = defined(LEAVES[:size])
        for index in range(size):
            check_inclusion(LEAVES[index], index, size, inclusion(NODES, index, size), whole)
        for old in range(size + 1):
            proof = consistency(NODES, old, size)
            check_consistency(old, defined(LEAVES[:old]), size, whole, proof)


@given(SIZES, st.data())
def test_no_other_leaf_place_or_proof_passes(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    whole, proof = defined(LEAVES[:size]), inclusion(NODES, index, size)
    other = data.draw(st.integers(-1, size).filter(lambda one: one != index))
    wrong: list[tuple[bytes, int, list[bytes]]] = [
        (LEAVES[index], other, proof),
        (leaf_hash(b"another"), index, proof),
        (LEAVES[index], index, [*proof, EMPTY_ROOT]),
        (LEAVES[index], index, [EMPTY_ROOT, *proof]),
        (LEAVES[index], index, [*(one + b"x" for one in proof), EMPTY_ROOT]),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong.append((LEAVES[index], index, proof[:at] + proof[at + 1 :]))
        wrong.append((LEAVES[index], index, [*proof[:at], EMPTY_ROOT, *proof[at + 1 :]]))

    for leaf, place, shown in wrong:
        with pytest.raises(DataLossError, match=r"leaf|leaves"):
            check_inclusion(leaf, place, size, shown, whole)


@given(SIZES, st.data())
def test_a_tree_that_was_changed_does_not_go_on_from_the_old_one(
    size: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, size))
    at = data.draw(st.integers(0, old - 1))
    changed = [*LEAVES[:at], leaf_hash(b"another"), *LEAVES[at + 1 : size]]

    class Changed(Nodes):
        def node(self, level: int, index: int) -> bytes:
            return defined(changed[index << level : (index + 1) << level])

    proof = consistency(Changed(), old, size)
    for shown in (proof, consistency(NODES, old, size), [], [EMPTY_ROOT, *proof]):
        with pytest.raises(DataLossError, match="go on from"):
            check_consistency(old, defined(LEAVES[:old]), size, defined(changed), shown)


def test_a_tree_of_one_leaf_needs_no_proof_and_takes_none() -> None:
    check_inclusion(LEAVES[0], 0, 1, [], LEAVES[0])
    with pytest.raises(DataLossError):
        check_inclusion(LEAVES[0], 0, 1, [EMPTY_ROOT], node_hash(EMPTY_ROOT, LEAVES[0]))


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_sizes_that_cannot_be_are_refused(old: int, new: int) -> None:
    with pytest.raises(DataLossError):
        check_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])


def test_the_vectors_are_those_of_every_language() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    roots = [bytes.fromhex(one) for one in VECTORS["roots"]]

    assert [one.hex() for one in hashes] == VECTORS["leaf_hashes"]
    assert [defined(hashes[:size]) for size in range(len(roots))] == roots
    assert all(one != other for one, other in pairwise(roots))
    for case in VECTORS["inclusion"]:
        proof = [bytes.fromhex(one) for one in case["hashes"]]
        _expect(
            case,
            lambda case=case, proof=proof: check_inclusion(
                hashes[case["leaf"]], case["index"], case["size"], proof, roots[case["size"]]
            ),
        )
    for case in VECTORS["consistency"]:
        proof = [bytes.fromhex(one) for one in case["hashes"]]
        _expect(
            case,
            lambda case=case, proof=proof: check_consistency(
                case["old_size"],
                roots[case["old_size"]],
                case["size"],
                roots[case["size"]],
                proof,
            ),
        )


def _expect(case: dict[str, Any], check: Any) -> None:
    if case["valid"]:
        check()
    else:
        with pytest.raises(DataLossError):
            check()
