"""The log's proofs: that it only grows, and has what it is said to have.

Only what the log's key signed is believed. Where no key is given it is the one that the server
gives, which proves nothing to who has not seen it before.
"""

from collections.abc import Iterator

from modelkeep import merkle
from modelkeep._client_base import Methods
from modelkeep._log_export import read_leaf
from modelkeep._types import Event, InclusionProof, SignedCheckpoint
from modelkeep.checkpoints import LogKey
from modelkeep.errors import InvalidArgumentError
from modelkeep.v1 import event_service_pb2 as pb


class AuditMethods(Methods):
    """The log's proofs: that it only grows, and has what it is said to have.

    They raise `DataLossError` `PROOF_INVALID` where something is not proven. Checking signatures
    takes the package `cryptography`: `pip install 'modelkeep[audit]'`.
    """

    def checkpoint(
        self, size: int | None = None, *, key: LogKey | str | None = None
    ) -> SignedCheckpoint:
        """Get the signed checkpoint of the log's first entries, or of all that there are."""
        request = pb.GetCheckpointRequest(size=size)
        return _opened(self._wire.call(self._wire.events.GetCheckpoint, request), key, size)

    def prove(
        self, event: int | Event, size: int | None = None, *, key: LogKey | str | None = None
    ) -> InclusionProof:
        """Get the proof that an event is in the log of a checkpoint, by default the newest."""
        position = event if isinstance(event, int) else event.position
        request = pb.ProveInclusionRequest(name=f"events/{position}", size=size)
        proof = self._wire.call(self._wire.events.ProveInclusion, request)
        checkpoint = _opened(proof.checkpoint, key, size)
        read_leaf(proof.leaf, position)
        merkle.check_inclusion(
            merkle.leaf_hash(proof.leaf),
            position - 1,
            checkpoint.size,
            proof.hashes,
            bytes.fromhex(checkpoint.root_hash),
        )
        return InclusionProof(
            event=f"events/{position}",
            leaf=proof.leaf.hex(),
            index=position - 1,
            hashes=tuple(hash_.hex() for hash_ in proof.hashes),
            checkpoint=checkpoint,
        )

    def goes_on_from(
        self, old: SignedCheckpoint, size: int | None = None, *, key: LogKey | str | None = None
    ) -> SignedCheckpoint:
        """Get a checkpoint, by default the newest, once it is shown to go on from one of before.

        What is believed of the old one is its note, and without another key its own.
        """
        known = _key(old.key if key is None else key)
        kept = known.opened(old.note)
        request = pb.ProveConsistencyRequest(old_size=kept.size, size=size)
        proof = self._wire.call(self._wire.events.ProveConsistency, request)
        new = _opened(proof.checkpoint, known, size)
        merkle.check_consistency(
            kept.size, kept.root, new.size, bytes.fromhex(new.root_hash), proof.hashes
        )
        return new

    def leaves(self, after: int = 0) -> Iterator[bytes]:
        """Yield the log's leaves behind a position, oldest first: serialized `LogLeaf`s."""
        while True:
            request = pb.ReadLeavesRequest(after_position=after)
            found = self._wire.call(self._wire.events.ReadLeaves, request).leaves
            if not found:
                return
            yield from found
            after += len(found)


def _opened(message: pb.Checkpoint, key: LogKey | str | None, size: int | None) -> SignedCheckpoint:
    """Read what is signed, and nothing else."""
    known = _key(message.key if key is None else key)
    found = known.opened(message.note)
    if size is not None and found.size != size:
        raise merkle.wrong(f"the checkpoint is of {found.size} entries, not of {size}")
    return SignedCheckpoint(
        origin=found.origin,
        size=found.size,
        root_hash=found.root.hex(),
        note=message.note,
        key=str(known),
    )


def _key(key: LogKey | str) -> LogKey:
    if isinstance(key, LogKey):
        return key
    try:
        return LogKey.parse(key)
    except ValueError as problem:
        raise InvalidArgumentError("FIELD_INVALID", f"the key {problem}", field="key") from None
