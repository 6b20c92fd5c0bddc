"""Checkpoints and proofs of a server's log, checked by who trusts only the key."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.running import RunningServer, of_database, run_server
from tests.services.wire import Registry, refused

from modelkeep import merkle
from modelkeep.checkpoints import Checkpoint, LogKey
from modelkeep.v1 import event_pb2
from modelkeep.v1 import event_service_pb2 as pb

EVENTS = 40


@pytest.fixture
def r(server: RunningServer) -> Iterator[Registry]:
    with grpc.insecure_channel(server.address) as channel:
        yield _busy(Registry(channel, "default"))


def _busy(registry: Registry) -> Registry:
    registry.create()
    for number in range(EVENTS):
        registry.set_alias(f"alias-{number}", 1) if number % 3 else registry.create()
    return registry


def _checkpoint(r: Registry, size: int | None = None) -> pb.Checkpoint:
    return r.events.GetCheckpoint(pb.GetCheckpointRequest(size=size), metadata=r.metadata)


def _opened(message: pb.Checkpoint) -> Checkpoint:
    return LogKey.parse(message.key).opened(message.note)


def _leaves(r: Registry, after: int = 0, most: int = 0) -> list[bytes]:
    request = pb.ReadLeavesRequest(after_position=after, page_size=most)
    return list(r.events.ReadLeaves(request, metadata=r.metadata).leaves)


def _consistency(r: Registry, old_size: int, size: int | None = None) -> pb.ConsistencyProof:
    request = pb.ProveConsistencyRequest(old_size=old_size, size=size)
    return r.events.ProveConsistency(request, metadata=r.metadata)


def _inclusion(r: Registry, position: int, size: int | None = None) -> pb.InclusionProof:
    request = pb.ProveInclusionRequest(name=f"events/{position}", size=size)
    return r.events.ProveInclusion(request, metadata=r.metadata)


def test_a_checkpoint_is_signed_and_is_what_the_leaves_hash_to(r: Registry) -> None:
    tree = merkle.Tree()
    roots = [tree.root()]
    for leaf in _leaves(r):
        tree.add(merkle.leaf_hash(leaf))
        roots.append(tree.root())

    assert len(roots) > EVENTS
    for size in (None, *range(len(roots))):
        found = _checkpoint(r, size)
        opened = LogKey.parse(found.key).opened(found.note)
        assert (opened.origin, opened.size, opened.root) == (
            found.origin,
            found.size,
            found.root_hash,
        )
        assert found.root_hash == roots[-1 if size is None else size]
        assert found.size == (len(roots) - 1 if size is None else size)


def test_leaves_are_those_of_the_events_in_order(r: Registry) -> None:
    leaves = [event_pb2.LogLeaf.FromString(leaf) for leaf in _leaves(r)]

    assert [leaf.position for leaf in leaves] == list(range(1, len(leaves) + 1))
    for leaf in leaves:
        event = r.events.GetEvent(
            pb.GetEventRequest(name=f"events/{leaf.position}"), metadata=r.metadata
        )
        assert event_pb2.EventRecord.FromString(leaf.event) == event.record
        assert leaf.log_time == event.log_time


def test_leaves_come_page_by_page(r: Registry) -> None:
    whole, found = _leaves(r), list[bytes]()
    while page := _leaves(r, after=len(found), most=7):
        assert len(page) <= 7
        found += page

    assert found == whole
    assert _leaves(r, after=len(whole) + 5) == []


def test_every_event_is_proven_in_every_log_that_has_it(r: Registry) -> None:
    end = _checkpoint(r).size
    for size in (None, 1, 2, 7, 8, 33, end):
        for position in range(1, (size or end) + 1):
            proof = _inclusion(r, position, size)
            checkpoint = _opened(proof.checkpoint)
            assert checkpoint.size == (size or end)
            assert (proof.index, proof.leaf) == (position - 1, _leaves(r, position - 1, 1)[0])
            merkle.check_inclusion(
                merkle.leaf_hash(proof.leaf),
                proof.index,
                checkpoint.size,
                proof.hashes,
                checkpoint.root,
            )


def test_every_log_goes_on_from_those_before_it(r: Registry) -> None:
    end = _checkpoint(r).size
    for size in (5, 32, end):
        for old_size in range(size + 1):
            old, proof = _checkpoint(r, old_size), _consistency(r, old_size, size)
            assert proof.checkpoint == _checkpoint(r, size)
            merkle.check_consistency(
                old.size, old.root_hash, size, proof.checkpoint.root_hash, proof.hashes
            )


def test_what_the_log_does_not_have_is_not_proven(r: Registry) -> None:
    end = _checkpoint(r).size

    with refused("OUT_OF_RANGE", "POSITION_INVALID", "size") as refusal:
        _checkpoint(r, end + 1)
    assert refusal.metadata["last"] == str(end)
    for position, size in ((end, end - 1), (end + 1, None), (1, 0)):
        with refused("OUT_OF_RANGE", "POSITION_INVALID", "name"):
            _inclusion(r, position, size)
    with refused("OUT_OF_RANGE", "POSITION_INVALID", "size"):
        _inclusion(r, 1, end + 1)
    with refused("OUT_OF_RANGE", "POSITION_INVALID", "old_size"):
        _consistency(r, 5, 4)
    with refused("INVALID_ARGUMENT", "FIELD_INVALID", "old_size"):
        _consistency(r, -1)
    with refused("INVALID_ARGUMENT", "NAME_INVALID", "name"):
        r.events.ProveInclusion(pb.ProveInclusionRequest(name="events/0"), metadata=r.metadata)


def test_a_log_has_the_same_key_and_checkpoints_after_a_restart(
    tmp_path: Path, database: str | None
) -> None:
    def served() -> Iterator[Registry]:
        with (
            run_server(tmp_path / "data", **of_database(database)) as running,
            grpc.insecure_channel(running.address) as channel,
        ):
            yield Registry(channel, "default")

    for r in served():
        first = _checkpoint(_busy(r))
    for r in served():
        assert _checkpoint(r, first.size) == first
        r.create()
        assert _checkpoint(r).key == first.key


def test_the_server_puts_its_checkpoints_where_others_keep_them(tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere"
    for _ in range(2):
        with (
            run_server(tmp_path / "data", checkpoints=str(kept)) as running,
            grpc.insecure_channel(running.address) as channel,
        ):
            r = _busy(Registry(channel, "default"))
            key, last = _checkpoint(r).key, _checkpoint(r).size

    (log,) = kept.iterdir()
    notes = sorted(one.name for one in log.iterdir() if one.name != "key")
    assert (log / "key").read_text() == f"{key}\n"
    known = LogKey.parse(key)
    sizes = [known.opened((log / name).read_text()).size for name in notes]
    assert sizes == [int(name) for name in notes]
    assert sizes[-1] == last


def test_a_log_that_is_not_the_one_that_was_kept_is_told(tmp_path: Path) -> None:
    """As where an older copy of the data folder is served."""
    kept = tmp_path / "elsewhere"
    with run_server(tmp_path / "data", checkpoints=str(kept)):
        pass
    (note,) = [one for one in kept.glob("*/*") if one.name != "key"]
    note.write_text(note.read_text().replace("modelkeep.dev", "modelkeep.com"))

    with run_server(tmp_path / "data", checkpoints=str(kept)) as running:
        pass

    (said, *_) = [line for line in running.log() if line["level"] == "error"]
    assert said["event"] == "checkpoint failed"
    assert "this log is not the one that was signed there" in said["exception"]


def test_no_server_starts_that_could_not_keep_its_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(Exception, match=r"checkpoints can't be put into .*file/x: Not a directory"),
        run_server(tmp_path / "data", checkpoints=str(tmp_path / "file" / "x")),
    ):
        pass
