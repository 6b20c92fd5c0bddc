"""The log's proofs: that it only grows, and has what it is said to have."""

from collections.abc import Iterator

from modelkeep import merkle
from modelkeep._client_base import Methods
from modelkeep._types import Event, InclusionProof, SignedCheckpoint
from modelkeep.v1 import event_service_pb2 as pb


class AuditMethods(Methods):
    """The log's proofs: that it only grows, and has what it is said to have."""

    def checkpoint(self, size: int | None = None) -> SignedCheckpoint:
        """Get the signed checkpoint of the log's first entries, or of all that there are.

        Its signature is not checked: `modelkeep.checkpoints.LogKey` does, with a key that you kept.
        """
        return _checkpoint(
            self._wire.call(self._wire.events.GetCheckpoint, pb.GetCheckpointRequest(size=size))
        )

    def prove(self, event: int | Event, size: int | None = None) -> InclusionProof:
        """Get the proof that an event is in the log of a checkpoint, by default the newest.

        Raises `DataLossError` `PROOF_INVALID` where it proves nothing.
        """
        position = event if isinstance(event, int) else event.position
        request = pb.ProveInclusionRequest(name=f"events/{position}", size=size or 0)
        proof = self._wire.call(self._wire.events.ProveInclusion, request)
        of = proof.checkpoint
        merkle.check_inclusion(
            merkle.leaf_hash(proof.leaf), position - 1, of.size, proof.hashes, of.root_hash
        )
        return InclusionProof(
            event=f"events/{position}",
            leaf=proof.leaf.hex(),
            index=proof.index,
            hashes=tuple(hash_.hex() for hash_ in proof.hashes),
            checkpoint=_checkpoint(of),
        )

    def goes_on_from(self, old: SignedCheckpoint) -> SignedCheckpoint:
        """Get the newest checkpoint, once it is shown to go on from one that you kept.

        Raises `DataLossError` `PROOF_INVALID` where it does not: it was changed, or is another.
        """
        request = pb.ProveConsistencyRequest(old_size=old.size)
        proof = self._wire.call(self._wire.events.ProveConsistency, request)
        new = proof.checkpoint
        if (new.origin, new.key) != (old.origin, old.key):
            raise merkle.wrong(f"the log is {new.origin}, and was {old.origin}, or has another key")
        old_root = bytes.fromhex(old.root_hash)
        merkle.check_consistency(old.size, old_root, new.size, new.root_hash, proof.hashes)
        return _checkpoint(new)

    def leaves(self, after: int = 0) -> Iterator[bytes]:
        """Yield the log's leaves behind a position, oldest first: serialized `LogLeaf`s."""
        while True:
            request = pb.ReadLeavesRequest(after_position=after)
            found = self._wire.call(self._wire.events.ReadLeaves, request).leaves
            if not found:
                return
            yield from found
            after += len(found)


def _checkpoint(message: pb.Checkpoint) -> SignedCheckpoint:
    return SignedCheckpoint(
        origin=message.origin,
        size=message.size,
        root_hash=message.root_hash.hex(),
        note=message.note,
        key=message.key,
    )
