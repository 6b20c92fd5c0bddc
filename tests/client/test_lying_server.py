"""A server that has the log's key and lies: what it can't do is change what somebody kept."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from modelkeep import Client, DataLossError, InvalidArgumentError, SignedCheckpoint
from modelkeep.checkpoints import Checkpoint, LogKey, signed
from modelkeep.merkle import Tree, leaf_hash
from modelkeep.v1 import event_pb2
from modelkeep.v1 import event_service_pb2 as pb

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = LogKey("modelkeep.dev/logs/one", PRIVATE.public_key().public_bytes_raw())
STRANGER = b"s" * 32


def leaf(position: int, what: str = "") -> bytes:
    record = event_pb2.EventRecord(event_id=f"{position}{what}")
    return event_pb2.LogLeaf(
        event=record.SerializeToString(), position=position
    ).SerializeToString()


def tree(leaves: list[bytes]) -> bytes:
    made = Tree()
    for one in leaves:
        made.add(leaf_hash(one))
    return made.root()


HONEST = [leaf(position) for position in range(1, 6)]
FORGED = [leaf(position, " forged") for position in range(1, 10)]


def message(leaves: list[bytes], **claims: object) -> pb.Checkpoint:
    """Sign what these are, and claim what else one likes."""
    checkpoint = Checkpoint(KEY.name, len(leaves), tree(leaves))
    note = signed(checkpoint, KEY, PRIVATE.sign(checkpoint.body().encode()))
    fields = {
        "origin": KEY.name,
        "size": len(leaves),
        "root_hash": checkpoint.root,
        "note": note,
        "key": str(KEY),
    }
    return pb.Checkpoint(**(fields | claims))  # type: ignore[arg-type]


KEPT = SignedCheckpoint(KEY.name, 5, tree(HONEST).hex(), message(HONEST).note, str(KEY))


@dataclass
class Liar:
    """Answers what it is told to."""

    checkpoint: pb.Checkpoint = field(default_factory=lambda: message(HONEST))
    inclusion: pb.InclusionProof = field(default_factory=pb.InclusionProof)
    consistency: pb.ConsistencyProof = field(default_factory=pb.ConsistencyProof)


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
def client(liar: Liar) -> Iterator[Client]:
    server = grpc.server(ThreadPoolExecutor(2))
    answers: dict[str, Callable[[], Message]] = {
        "GetCheckpoint": lambda: liar.checkpoint,
        "ProveInclusion": lambda: liar.inclusion,
        "ProveConsistency": lambda: liar.consistency,
    }
    handlers: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(
            lambda _, __, answer=answer: answer(),
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for name, answer in answers.items()
    }
    service = grpc.method_handlers_generic_handler("modelkeep.v1.EventService", handlers)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}") as found:
        yield found
    server.stop(None).wait()


def test_only_what_was_signed_is_told(client: Client, liar: Liar) -> None:
    liar.checkpoint = message(HONEST, size=9, root_hash=tree(FORGED), origin="another")

    assert client.checkpoint() == KEPT


def test_a_checkpoint_is_of_the_size_that_was_asked_for(client: Client) -> None:
    with pytest.raises(DataLossError, match="of 5 entries, not of 4"):
        client.checkpoint(4)


def test_the_key_that_one_has_is_the_one_that_counts(client: Client, liar: Liar) -> None:
    other = LogKey(KEY.name, bytes(32))

    with pytest.raises(DataLossError, match="not signed by"):
        client.checkpoint(key=other)
    with pytest.raises(DataLossError, match="not signed by"):
        client.checkpoint(key=str(other))
    with pytest.raises(InvalidArgumentError, match="the key must be a log's key"):
        client.checkpoint(key="x")


@pytest.mark.parametrize(
    "lie",
    [
        lambda: pb.ConsistencyProof(checkpoint=message(FORGED)),
        # What it shows is what was kept, and what it signs is another.
        lambda: pb.ConsistencyProof(checkpoint=message(FORGED, size=5, root_hash=tree(HONEST))),
        lambda: pb.ConsistencyProof(
            checkpoint=message(FORGED), hashes=[leaf_hash(one) for one in HONEST]
        ),
        lambda: pb.ConsistencyProof(checkpoint=message(HONEST[:4])),
        lambda: pb.ConsistencyProof(checkpoint=message(HONEST, note="")),
    ],
    ids=["another log", "another note", "hashes", "older", "unsigned"],
)
def test_a_log_that_does_not_go_on_from_what_was_kept_is_refused(
    client: Client, liar: Liar, lie: Callable[[], pb.ConsistencyProof]
) -> None:
    liar.consistency = lie()

    with pytest.raises(DataLossError) as refused:
        client.goes_on_from(KEPT)
    assert refused.value.reason == "PROOF_INVALID"


def test_a_log_that_goes_on_is_told_as_it_was_signed(client: Client, liar: Liar) -> None:
    liar.consistency = pb.ConsistencyProof(checkpoint=message(HONEST, size=77))

    assert client.goes_on_from(KEPT) == KEPT


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        # An event that never happened, in a tree of its own, beside a checkpoint that is right.
        (
            lambda: pb.InclusionProof(
                leaf=FORGED[0],
                checkpoint=message(HONEST, size=1, root_hash=tree(FORGED[:1])),
            ),
            "is not shown to be in the tree of 5",
        ),
        (
            lambda: pb.InclusionProof(
                leaf=leaf(2), index=0, checkpoint=message([leaf(2)]), hashes=[]
            ),
            "says that it is events/2",
        ),
        (
            lambda: pb.InclusionProof(leaf=b"\xff", checkpoint=message(HONEST)),
            "can't be read",
        ),
        (
            lambda: pb.InclusionProof(
                leaf=leaf(1),
                checkpoint=message([leaf(1)]),
                hashes=[STRANGER],
            ),
            "is not shown",
        ),
    ],
    ids=["made up", "another's place", "no leaf", "a hash too many"],
)
def test_an_event_that_is_not_proven_is_refused(
    client: Client, liar: Liar, lie: Callable[[], pb.InclusionProof], words: str
) -> None:
    liar.inclusion = lie()

    with pytest.raises(DataLossError, match=words):
        client.prove(1)


def test_the_place_is_the_one_that_was_asked_for(client: Client, liar: Liar) -> None:
    only = [leaf(1)]
    liar.inclusion = pb.InclusionProof(leaf=leaf(1), index=777, checkpoint=message(only))

    proof = client.prove(1)

    assert (proof.index, proof.event, proof.checkpoint.size) == (0, "events/1", 1)
