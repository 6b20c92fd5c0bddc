"""A disk that fails at a sync: nothing that rests on it is acknowledged, and nothing is lost.

What a failed sync could not write may be gone, though it can still be read. So the server stops at
the first one, wherever it is met, the database's own syncs included.
"""

import errno
import json
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest
from tests.faults.faulty_disk import FaultyDisk, faulty_disk
from tests.faults.story import STEPS, Story, is_whole
from tests.rounds import LONG, Tally
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import Registry, status
from tests.verified import check_sound

from modelkeep.v1.namespace_pb2 import Namespace
from modelkeep.v1.namespace_service_pb2 import ListNamespacesRequest
from modelkeep_server.domain import namespaces
from modelkeep_server.records.opening import open_records
from modelkeep_server.records.sqlite import LOG_PAGES
from modelkeep_server.values.call import SYSTEM

TRIED_IN_CI = 5
LEAST_SYNCS = 15
REASONS = {"STORAGE_FAILED", "SERVER_STOPPING", ""}
"""Why a call is refused; the empty one is the client's own, whose connection ended."""
CUT, RESTART, KILL = range(3)
"""What follows a failed sync: the power fails, or the server is started again on the same disk."""


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A disk's content: the folder of a server that has been started and stopped."""
    with serving(tmp_path / "used" / "data", log=tmp_path / "used.log") as server:
        server.stop()
    return tmp_path / "used"


@pytest.mark.rounds("sync-errors")
@pytest.mark.timeout(900)
def test_a_failed_sync_acknowledges_nothing_and_loses_nothing(
    used: Path, tmp_path: Path, tally: Tally
) -> None:
    count = _count_syncs(used, tmp_path)
    assert count >= LEAST_SYNCS
    step = 1 if LONG else max(round(count / TRIED_IN_CI), 1)
    for nth in range(1, count + 1, step):
        for end in (CUT, RESTART, KILL) if LONG else (nth // step % 3,):
            place = tmp_path / f"sync-{nth}-{end}"
            place.mkdir()
            _fail_at(nth, end, used, place, tally)

    assert (tally.lost, tally.wrong) == (0, 0)
    assert tally.tried > TRIED_IN_CI // 2


def test_a_sync_that_fails_while_the_log_is_brought_into_the_file_stops_the_server(
    used: Path, tmp_path: Path
) -> None:
    with faulty_disk(tmp_path / "disk", used) as disk, _server(disk, tmp_path) as server:
        disk.fail("sync", "*/modelkeep.db")
        with registry_of(server) as registry:
            story = Story()
            story.tell(registry)
            with pytest.raises(grpc.RpcError) as refused:
                _make_namespaces(registry, LOG_PAGES)
        assert status(refused.value).code == "UNAVAILABLE"
        assert disk.fired()
        assert server.exit_code() == 1
        _check_said(server)
        with serving(disk.survivors(tmp_path / "left") / "data") as again:
            with registry_of(again) as registry:
                assert story.lost(registry) == []
            again.stop()


@pytest.mark.parametrize("failures_at_start", [0, 1])
def test_what_a_failed_sync_left_readable_is_not_built_upon(
    used: Path, tmp_path: Path, failures_at_start: int
) -> None:
    with faulty_disk(tmp_path / "disk", used) as disk:
        with _server(disk, tmp_path) as server, registry_of(server) as registry:
            registry.make_namespace()  # with it the log begins, which has a sync of its own
            disk.fail("sync", "*/modelkeep.db-wal")
            with pytest.raises(grpc.RpcError):
                registry.make_namespace()
            assert disk.fired()
            server.kill()
        # SQLite passes over it, as the connection of the migrations closes.
        for _ in range(failures_at_start):
            disk.fail("sync", "*/modelkeep.db*")
        with _server(disk, tmp_path) as server, registry_of(server) as registry:
            assert disk.fired() == 1 + failures_at_start
            # In a log that goes on behind pages that can be read and are not on the disk.
            made = registry.make_namespace()
            server.kill()
        left = disk.survivors(tmp_path / "left")
    with serving(left / "data") as server, registry_of(server) as registry:
        found = registry.namespaces.ListNamespaces(ListNamespacesRequest()).namespaces
        assert made in [namespace.name for namespace in found]


def test_the_name_of_the_log_does_not_rest_on_sqlite(used: Path, tmp_path: Path) -> None:
    name = "kept"
    with (
        faulty_disk(tmp_path / "disk", used) as disk,
        open_records(None, disk.path / "data", pytest.fail) as records,
    ):
        # SQLite syncs the folder of a new log, and does not look how that ends.
        disk.fail("sync", "/data/", lasting=True)
        namespaces.create(records, SYSTEM, name, Namespace())
        assert disk.fired()
        left = disk.survivors(tmp_path / "left")
    with open_records(None, left / "data", pytest.fail) as records:
        assert namespaces.get(records.read(), name)


def test_a_sync_that_fails_while_the_server_stops_loses_nothing(used: Path, tmp_path: Path) -> None:
    story = Story()
    with faulty_disk(tmp_path / "disk", used) as disk:
        with _server(disk, tmp_path) as server:
            with registry_of(server) as registry:
                story.tell(registry)
            disk.fail("sync", "*/modelkeep.db*", lasting=True)
            server.stop()
        assert disk.fired()
        left = disk.survivors(tmp_path / "left")
    with serving(left / "data") as again, registry_of(again) as registry:
        assert story.done == STEPS
        assert story.lost(registry) == []


def test_a_write_that_fails_is_as_a_sync_that_fails(used: Path, tmp_path: Path) -> None:
    for pattern in ("/data/staging/*", "/data/modelkeep.db-wal"):
        place = tmp_path / pattern.rpartition("/")[2].strip("*") / "write"
        place.mkdir(parents=True)
        story = Story()
        with faulty_disk(place / "disk", used) as disk:
            with _server(disk, place) as server:
                disk.fail("write", pattern, nth=2, error=errno.EIO)
                with registry_of(server) as registry:
                    story.tell(registry)
                assert _is_refused(story)
                assert server.exit_code() == 1
                _check_said(server)
            _go_on(disk.survivors(place / "left") / "data", place, story, Tally("none"))


def _make_namespaces(registry: Registry, count: int) -> None:
    for _ in range(count):
        registry.make_namespace()


def _count_syncs(used: Path, tmp_path: Path) -> int:
    with faulty_disk(tmp_path / "dry", used) as disk, _server(disk, tmp_path) as server:
        before = len(disk.syncs())
        story = Story()
        with registry_of(server) as registry:
            story.tell(registry)
        assert story.done == STEPS
        return len(disk.syncs()) - before


def _fail_at(nth: int, end: int, used: Path, place: Path, tally: Tally) -> None:
    """Tell the story on a disk whose nth sync fails, and again on what that leaves."""
    story = Story()
    with faulty_disk(place / "disk", used) as disk:
        with _server(disk, place) as server:
            disk.fail("sync", nth=nth)
            with registry_of(server) as registry:
                story.tell(registry)
            if not disk.fired():
                return  # there were fewer this time: what comes at once may share one
            tally.tried += 1
            _end(server, end, story, tally)
        if end != CUT:
            with _server(disk, place) as server, registry_of(server) as registry:
                tally.lost += len(story.lost(registry))
                story.tell(registry)
                assert story.refusal is None, story
                server.kill()
        left = disk.survivors(place / "left")
    _go_on(left / "data", place, story, tally)


def _end(server: ServerProcess, end: int, story: Story, tally: Tally) -> None:
    if story.refusal is None:
        # Nothing rested on it, so nothing may be lost without it.
        assert end == KILL or story.done == STEPS
        server.kill()
        return
    tally.wrong += not _is_refused(story)
    if end == KILL:
        server.kill()
        return
    assert server.exit_code() == 1
    _check_said(server)


def _is_refused(story: Story) -> bool:
    refusal = story.refusal
    return refusal is not None and refusal.code == "UNAVAILABLE" and refusal.reason in REASONS


def _check_said(server: ServerProcess) -> None:
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert [line for line in lines if line["level"] == "error"] == []
    (reason,) = [line["reason"] for line in lines if line["event"] == "stopping"]
    assert "failed" in reason


def _go_on(data: Path, place: Path, story: Story, tally: Tally) -> None:
    """Start on what is left, and ask again for everything, by the same request ids."""
    with serving(data, log=place / "again.log") as server, registry_of(server) as registry:
        tally.lost += len(story.lost(registry))
        story.tell(registry)
        assert story.done == STEPS, story.refusal
        tally.wrong += not is_whole(registry)
        server.stop()
    check_sound(data)


def _server(disk: FaultyDisk, place: Path) -> AbstractContextManager[ServerProcess]:
    return serving(disk.path / "data", log=place / "server.log")
