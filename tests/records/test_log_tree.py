"""The tree is the same whatever of it is kept, and what is kept is made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import Expression

from modelkeep import merkle
from modelkeep.errors import DataLossError
from modelkeep_server.records import log_tree
from modelkeep_server.records.log_tree import Node, StoredNodes
from modelkeep_server.records.opening import open_records
from modelkeep_server.records.records import Records
from modelkeep_server.records.tables import Event, LogNode

SIZE = 300
LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(1, SIZE + 1)]


@pytest.fixture
def records(
    tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Records]:
    """A log of so many leaves, of which four make one of the tier above: there are four tiers."""
    monkeypatch.setattr(log_tree, "_TIER_LEVELS", 2)
    monkeypatch.setattr(log_tree, "_WIDTH", 4)
    with open_records(database, tmp_path / "data", lambda _: None) as found:
        rows = [
            {
                "position": position,
                "event_id": f"{position}",
                "log_us": position,
                "leaf": b"%d" % position,
                "leaf_hash": leaf,
            }
            for position, leaf in enumerate(LEAVES, start=1)
        ]
        found.bookkeep(lambda session: session.run(Event.insert_many(rows)))
        yield found


def _roots() -> list[bytes]:
    tree = merkle.Tree()
    roots = [tree.root()]
    for leaf in LEAVES:
        tree.add(leaf)
        roots.append(tree.root())
    return roots


def _kept(records: Records) -> int:
    return len(records.read().rows(LogNode.select(LogNode.tier)))


def _keep(records: Records, size: int, most: int = 1000) -> list[Node]:
    nodes = log_tree.missing(records.read(), size, most)
    records.bookkeep(lambda session: log_tree.keep(session, nodes))
    return nodes


def test_a_tree_is_the_same_whatever_is_kept(records: Records) -> None:
    roots = _roots()
    for size in (0, 3, 4, 70, SIZE):
        _keep(records, size)
        for wanted in range(0, SIZE + 1, 7):
            nodes = StoredNodes(records.read())
            assert merkle.root(nodes, wanted) == roots[wanted]
            for old in range(0, wanted + 1, 31):
                proof = merkle.consistency(nodes, old, wanted)
                merkle.check_consistency(old, roots[old], wanted, roots[wanted], proof)
            for index in range(0, wanted, 13):
                proof = merkle.inclusion(nodes, index, wanted)
                merkle.check_inclusion(LEAVES[index], index, wanted, proof, roots[wanted])


def test_what_is_complete_is_kept_a_few_at_a_time_and_once(records: Records) -> None:
    found = []
    while nodes := _keep(records, SIZE, most=10):
        assert len(nodes) <= 10
        found += nodes

    whole = SIZE // 4 + SIZE // 16 + SIZE // 64 + SIZE // 256
    assert len({(node.tier, node.ordinal) for node in found}) == len(found) == whole
    assert _kept(records) == whole
    assert list(log_tree.wrong(records.read())) == []


def test_two_that_keep_the_same_do_no_harm(records: Records) -> None:
    nodes = log_tree.missing(records.read(), SIZE, 1000)
    for _ in range(2):
        records.bookkeep(lambda session: log_tree.keep(session, nodes))

    assert _kept(records) == len(nodes)


def test_a_kept_hash_that_is_wrong_is_found(records: Records) -> None:
    _keep(records, SIZE)
    change = LogNode.update(hash=b"x" * 32).where((LogNode.tier == 2) & (LogNode.ordinal == 3))
    records.bookkeep(lambda session: session.run(change))

    # It, and the one that is made of it.
    assert list(log_tree.wrong(records.read())) == [(49, 64), (1, 64)]


@pytest.mark.parametrize(
    ("gone", "found"),
    [
        # What it was a part of can't be told any more either.
        ((LogNode.tier == 1) & (LogNode.ordinal == 5), [(21, 24), (17, 32)]),
        ((LogNode.tier == 2) & (LogNode.ordinal == 0), [(1, 16), (1, 64)]),
    ],
)
def test_what_is_kept_has_no_gap(
    records: Records, gone: Expression, found: list[tuple[int, int]]
) -> None:
    _keep(records, SIZE)
    records.bookkeep(lambda session: session.run(LogNode.delete().where(gone)))

    assert list(log_tree.wrong(records.read())) == found


def test_a_missing_event_is_told_and_not_left_out(records: Records) -> None:
    records.bookkeep(lambda session: session.run(Event.delete().where(Event.position == SIZE)))

    with pytest.raises(DataLossError, match=f"events/{SIZE} is missing"):
        merkle.root(StoredNodes(records.read()), SIZE)
