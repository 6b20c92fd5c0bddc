"""The log's tree: its hashes, read where they are kept or made of those below.

An event's leaf hash lies with it. Above, one of eight levels is kept (a tier: a hash over 256 of
the tier below), and only once it is complete, so it never changes. It is made when it is needed,
never in an act's own transaction, and a tree is the same with or without what is kept.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from modelkeep import merkle
from modelkeep.errors import DataLossError
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Event, LogNode

_TIER_LEVELS = 8
_WIDTH = 1 << _TIER_LEVELS
_TIERS = range(1, 7)  # 2^48 events

_LEAVES = Statement(
    lambda: (
        Event.select(Event.position, Event.leaf_hash)
        .where((Event.position > bind("begin")) & (Event.position <= bind("end")))
        .order_by(Event.position)
    )
)
_NODES = Statement(
    lambda: (
        LogNode.select(LogNode.ordinal, LogNode.hash)
        .where(
            (LogNode.tier == bind("tier"))
            & (LogNode.ordinal >= bind("begin"))
            & (LogNode.ordinal < bind("end"))
        )
        .order_by(LogNode.ordinal)
    )
)
_LAST = Statement(
    lambda: (
        LogNode.select(LogNode.ordinal)
        .where(LogNode.tier == bind("tier"))
        .order_by(LogNode.ordinal.desc())
        .limit(1)
    )
)
_ADD = Statement(
    lambda: LogNode.insert(
        tier=bind("tier"), ordinal=bind("ordinal"), hash=bind("hash")
    ).on_conflict_ignore()
)
_ALL = Statement(
    lambda: LogNode.select(LogNode.tier, LogNode.ordinal, LogNode.hash).order_by(
        LogNode.tier, LogNode.ordinal
    )
)


@dataclass(frozen=True, slots=True)
class Node:
    """A hash over the leaves from `ordinal * 256**tier` on, `256**tier` of them."""

    tier: int
    ordinal: int
    hash: bytes


class StoredNodes:
    """The hashes of the log's complete subtrees; what was read once is kept until this goes."""

    def __init__(self, session: Session) -> None:
        """Read them in this session."""
        self._session = session
        self._tiles: dict[tuple[int, int], dict[int, bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """Tell the hash over the leaves from `index << level` on, `1 << level` of them."""
        tier, above = divmod(level, _TIER_LEVELS)
        begin = index << above
        return _over([self._of_tier(tier, begin + at) for at in range(1 << above)])

    def _of_tier(self, tier: int, ordinal: int) -> bytes:
        found = self._tile(tier, ordinal // _WIDTH).get(ordinal)
        if found is not None:
            return found
        if tier == 0:
            raise DataLossError(
                "RECORD_DAMAGED",
                f"events/{ordinal + 1} is missing; the server's operator should stop it and run "
                "modelkeep admin verify",
                type="modelkeep.v1.LogLeaf",
            )
        return self.made(tier, ordinal)

    def made(self, tier: int, ordinal: int) -> bytes:
        """Make a hash of those of the tier below, whether or not it is kept."""
        begin = ordinal * _WIDTH
        return _over([self._of_tier(tier - 1, begin + at) for at in range(_WIDTH)])

    def _tile(self, tier: int, number: int) -> dict[int, bytes]:
        if (tier, number) not in self._tiles:
            begin, end = number * _WIDTH, (number + 1) * _WIDTH
            if tier == 0:
                rows = self._session.rows(_LEAVES, begin=begin, end=end)
                found = {position - 1: bytes(hash_) for position, hash_ in rows}
            else:
                rows = self._session.rows(_NODES, tier=tier, begin=begin, end=end)
                found = {ordinal: bytes(hash_) for ordinal, hash_ in rows}
            self._tiles[tier, number] = found
        return self._tiles[tier, number]


def missing(session: Session, size: int, most: int) -> list[Node]:
    """Make the first hashes that could be kept of the log's first events, and are not."""
    nodes = StoredNodes(session)
    return [
        Node(tier, ordinal, nodes.made(tier, ordinal))
        for tier, ordinal in islice(_missing(session, size), most)
    ]


def keep(session: Session, nodes: list[Node]) -> None:
    """Keep hashes; others may have."""
    session.many(_ADD, [asdict(node) for node in nodes])


def wrong(session: Session) -> Iterator[tuple[int, int]]:
    """Yield the first and the last position of what is kept and not the hash of what is below.

    Also where something is missing before what is kept.
    """
    expected: dict[int, int] = {}
    for tier, ordinal, hash_ in session.each(_ALL):
        width = _WIDTH**tier
        if ordinal != expected.get(tier, 0):
            yield expected.get(tier, 0) * width + 1, ordinal * width
        expected[tier] = ordinal + 1
        below = _below(session, tier, ordinal) if tier in _TIERS else []
        if len(below) != _WIDTH or _over(below) != bytes(hash_):
            yield ordinal * width + 1, (ordinal + 1) * width


def _below(session: Session, tier: int, ordinal: int) -> list[bytes]:
    """Read what a hash is made of, as far as it is there."""
    begin, end = ordinal * _WIDTH, (ordinal + 1) * _WIDTH
    if tier == 1:
        return [bytes(hash_) for _, hash_ in session.rows(_LEAVES, begin=begin, end=end)]
    rows = session.rows(_NODES, tier=tier - 1, begin=begin, end=end)
    return [bytes(hash_) for _, hash_ in rows]


def _missing(session: Session, size: int) -> Iterator[tuple[int, int]]:
    for tier in _TIERS:
        row = session.row(_LAST, tier=tier)
        begin = row[0] + 1 if row else 0
        yield from ((tier, ordinal) for ordinal in range(begin, size // _WIDTH**tier))


def _over(hashes: list[bytes]) -> bytes:
    """Hash a complete subtree of the hashes of its leaves."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [merkle.node_hash(left, right) for left, right in pairs]
    return hashes[0]
