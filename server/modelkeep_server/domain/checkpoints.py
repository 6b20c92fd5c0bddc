"""Checkpoints of the log, signed, and proofs that they bear out.

Nothing of a checkpoint is kept: it follows from the log's first entries and the key, so each server
gives the same one.
"""

from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelkeep import merkle
from modelkeep.checkpoints import Checkpoint, LogKey, signed
from modelkeep.errors import OutOfRangeError
from modelkeep_server.blobs import Published
from modelkeep_server.records import log_tree, origin
from modelkeep_server.records.log_tree import StoredNodes
from modelkeep_server.records.records import Records

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

    def at(self, size: int | None = None) -> tuple[Checkpoint, str]:
        """Give the checkpoint of the log's first entries, or of all, and its signed form."""
        session = self._records.read()
        size = self._within("size", self._records.position() if size is None else size)
        checkpoint = Checkpoint(self.key.name, size, merkle.root(StoredNodes(session), size))
        signature = self._private.sign(checkpoint.body().encode())
        return checkpoint, signed(checkpoint, self.key, signature)

    def inclusion(self, position: int, size: int) -> list[bytes]:
        """Prove that an event is in the log of so many entries, which there are."""
        if position > size:
            raise OutOfRangeError(
                "POSITION_INVALID",
                f"the log of {size} entries has no events/{position}",
                field="name",
                position=position,
                last=size,
            )
        return merkle.inclusion(StoredNodes(self._records.read()), position - 1, size)

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Prove that the log of one size, which there is, begins with that of another."""
        if old_size > size:
            raise OutOfRangeError(
                "POSITION_INVALID",
                f"the log of {old_size} entries is not older than that of {size}",
                field="old_size",
                position=old_size,
                last=size,
            )
        return merkle.consistency(StoredNodes(self._records.read()), old_size, size)

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

    def _within(self, field: str, size: int) -> int:
        end = self._records.position()
        if not 0 <= size <= end:
            raise OutOfRangeError(
                "POSITION_INVALID",
                f"the log ends at position {end}, before {size}",
                field=field,
                position=size,
                last=end,
            )
        return size
