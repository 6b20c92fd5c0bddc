"""Checkpoints of the log, signed, and proofs that they bear out.

Nothing of a checkpoint is kept: it follows from the log's first entries and the key, so each server
gives the same one.
"""

from functools import partial
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelkeep import merkle
from modelkeep.checkpoints import Checkpoint, LogKey, signed
from modelkeep.errors import OutOfRangeError
from modelkeep_server.blobs import Published
from modelkeep_server.records import log_tree, origin
from modelkeep_server.records.log_tree import StoredNodes
from modelkeep_server.records.records import Records

Signed: TypeAlias = tuple[Checkpoint, str]
"""A checkpoint, and its signed form."""

KEY_BYTES = 32
_AT_ONCE = 16


def log_key(name: str, private: bytes) -> LogKey:
    """Give the public key to a log's private one."""
    key = Ed25519PrivateKey.from_private_bytes(private)
    return LogKey(name, key.public_key().public_bytes_raw())


class Checkpoints:
    """What proves that the log only grows."""

    def __init__(self, records: Records) -> None:
        """Sign with the log's own key."""
        self._records = records
        self._private = Ed25519PrivateKey.from_private_bytes(records.log_key)
        self.key = log_key(origin.name(records.read()), records.log_key)
        self.published = 0
        """How many entries the checkpoint has that was last put elsewhere."""

    def at(self, size: int | None = None) -> Signed:
        """Give the checkpoint of the log's first entries, or of all."""
        return self._at(size, self._nodes())

    def inclusion(self, position: int, size: int | None) -> tuple[Signed, list[bytes]]:
        """Give a checkpoint, and the proof that an event is in its log."""
        nodes = self._nodes()
        found = self._at(size, nodes)
        end = found[0].size
        if position > end:
            raise OutOfRangeError(
                "POSITION_INVALID",
                f"the log of {end} entries has no events/{position}",
                field="name",
                position=position,
                last=end,
            )
        return found, merkle.inclusion(nodes, position - 1, end)

    def consistency(self, old_size: int, size: int | None) -> tuple[Signed, list[bytes]]:
        """Give a checkpoint, and the proof that its log begins with that of another size."""
        nodes = self._nodes()
        found = self._at(size, nodes)
        end = found[0].size
        if old_size > end:
            raise OutOfRangeError(
                "POSITION_INVALID",
                f"the log of {old_size} entries is not older than that of {end}",
                field="old_size",
                position=old_size,
                last=end,
            )
        return found, merkle.consistency(nodes, old_size, end)

    def keep(self, place: Published | None) -> None:
        """Do what is to be done from time to time."""
        if place is not None:
            self._publish(place)
        self._grow()

    def _publish(self, place: Published) -> None:
        """Put the newest checkpoint where others keep it, and the key beside it."""
        checkpoint, note = self.at()
        log = self.key.name.rpartition("/")[2]
        place.put(f"{log}/key", f"{self.key}\n".encode())
        place.put(f"{log}/{checkpoint.size:012d}", note.encode())
        self.published = checkpoint.size

    def _grow(self) -> None:
        """Keep what later proofs would have to make again."""
        records = self._records
        size = records.position()
        while nodes := log_tree.missing(records.read(), size, _AT_ONCE):
            records.bookkeep(partial(log_tree.keep, nodes=nodes))

    def _nodes(self) -> StoredNodes:
        return StoredNodes(self._records.read())

    def _at(self, size: int | None, nodes: StoredNodes) -> Signed:
        end = self._records.position()
        size = end if size is None else size
        if size > end:
            raise OutOfRangeError(
                "POSITION_INVALID",
                f"the log ends at position {end}, before {size}",
                field="size",
                position=size,
                last=end,
            )
        checkpoint = Checkpoint(self.key.name, size, merkle.root(nodes, size))
        signature = self._private.sign(checkpoint.body().encode())
        return checkpoint, signed(checkpoint, self.key, signature)
