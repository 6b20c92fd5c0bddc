"""Watching: events as they happen, from any position on."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.running import RunningServer, run_edge
from tests.services.wire import Registry, refused

from modelkeep.v1 import event_service_pb2 as pb
from modelkeep.v1.event_service_pb2_grpc import EventServiceStub
from modelkeep_server.domain.checkpoints import Checkpoints
from modelkeep_server.records.opening import open_records
from modelkeep_server.services.events import EventService


class Watcher:
    """A watch, read event by event."""

    def __init__(self, channel: grpc.Channel, resource: str, after: int | None = None) -> None:
        request = pb.WatchEventsRequest(resource=resource, after_position=after)
        self.call: Any = EventServiceStub(channel).WatchEvents(request, timeout=60)
        self.bookmark = next(self.call).bookmark

    def next(self) -> int:
        """Wait for the next event, and tell its position."""
        message: pb.WatchEventsResponse = next(self.call)
        assert message.WhichOneof("content") == "event", message
        return message.event.position

    def take(self, count: int) -> list[int]:
        """Wait for so many events."""
        return [self.next() for _ in range(count)]

    def close(self) -> None:
        """End the watch."""
        self.call.cancel()


@contextmanager
def watching(registry: Registry, resource: str = "", after: int | None = None) -> Iterator[Watcher]:
    with closing(Watcher(registry.channel, resource or registry.name, after)) as watcher:
        yield watcher


def _positions(registry: Registry, resource: str = "") -> list[int]:
    return [event.position for event in registry.log(resource)]


def _end(registry: Registry) -> int:
    return registry.log()[-1].position


def test_a_watch_brings_what_happens_from_now_on(registry: Registry) -> None:
    registry.create()
    with watching(registry) as watcher:
        registry.set_alias("a", 1)
        registry.set_alias("b", 1)

        assert watcher.take(2) == _positions(registry)[-2:]


def test_a_watch_begins_with_a_bookmark(registry: Registry) -> None:
    registry.create()
    with watching(registry) as now, watching(registry, after=3) as earlier:
        assert now.bookmark.position >= _end(registry)
        assert earlier.bookmark.position == 3
        assert now.bookmark.HasField("time")


def test_a_watch_goes_on_from_any_position(registry: Registry) -> None:
    registry.create()
    for number in range(30):
        registry.set_alias(f"a{number}", 1)
    positions = _positions(registry)

    for index in range(0, len(positions), 3):
        with watching(registry, after=positions[index]) as watcher:
            assert watcher.take(len(positions) - index - 1) == positions[index + 1 :]


def test_a_watch_from_the_beginning_brings_everything(registry: Registry) -> None:
    registry.create()
    request = pb.WatchEventsRequest(after_position=0)
    end = _end(registry)
    call: Any = registry.events.WatchEvents(request)
    next(call)

    assert [next(call).event.position for _ in range(end)] == list(range(1, end + 1))
    call.cancel()


def test_a_watch_brings_the_event_as_it_is_listed(registry: Registry) -> None:
    registry.create()
    event = registry.log()[-1]
    request = pb.WatchEventsRequest(resource=registry.name, after_position=event.position - 1)
    call: Any = registry.events.WatchEvents(request)
    next(call)

    assert next(call).event == event
    call.cancel()


def test_a_watch_of_a_resource_brings_nothing_else(registry: Registry) -> None:
    registry.create("one")
    registry.create("two")
    with (
        watching(registry, registry.asset("one")) as one,
        watching(registry, registry.version(1, "two")) as version,
        watching(registry, registry.alias("a", "two")) as alias,
    ):
        for asset in ("two", "one", "two", "one"):
            registry.set_alias("a", 1, asset)
            registry.set_alias("b", 1, asset)
            registry.remove_alias("a", asset)
        registry.set_alias("production", 1, "two")

        assert one.take(5) == _positions(registry, registry.asset("one"))[-5:]
        assert version.take(1) == _positions(registry, registry.version(1, "two"))[-1:]
        assert alias.take(4) == _positions(registry, registry.alias("a", "two"))[-4:]


def test_watches_that_go_on_from_one_position_have_each_their_own_events(
    registry: Registry,
) -> None:
    after = _end(registry)
    for asset in ("one", "two"):
        registry.create(asset)
    one, two = registry.asset("one"), registry.asset("two")
    with watching(registry, one, after) as first, watching(registry, two, after) as second:
        assert first.next() == _positions(registry, one)[-1]
        assert second.next() == _positions(registry, two)[-1]


def test_two_watches_see_the_same(registry: Registry) -> None:
    registry.create()
    with watching(registry) as first, watching(registry) as second:
        for number in range(10):
            registry.set_alias(f"a{number}", 1)

        assert first.take(10) == second.take(10)


def test_a_watch_misses_nothing_while_many_write(registry: Registry) -> None:
    registry.create()
    after = _end(registry)
    with watching(registry, after=after) as watcher:
        threads = [
            threading.Thread(
                target=lambda n=n: [registry.set_alias(f"a{n}-{m}", 1) for m in range(5)]
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        found = watcher.take(40)
        for thread in threads:
            thread.join()

    assert found == _positions(registry)[-40:]
    assert found == sorted(found)


def test_two_hundred_watches_hear_of_one_write(registry: Registry, shared: RunningServer) -> None:
    registry.create()
    channels = [grpc.insecure_channel(shared.address, [("only", n)]) for n in range(4)]
    watchers = [Watcher(channels[n % 4], registry.asset()) for n in range(200)]
    started = time.monotonic()

    registry.set_alias("champion", 1)

    position = _end(registry)
    assert {watcher.next() for watcher in watchers} == {position}
    assert time.monotonic() - started < 5
    for watcher in watchers:
        watcher.close()
    for channel in channels:
        channel.close()


def test_a_position_behind_the_end_is_refused(registry: Registry) -> None:
    with refused("OUT_OF_RANGE", "POSITION_INVALID", "after_position") as refusal:
        Watcher(registry.channel, "", after=2**40)

    assert refusal.metadata["position"] == str(2**40)
    assert int(refusal.metadata["last"]) >= _end(registry)


@pytest.mark.parametrize("resource", ["namespaces", "events/1", "namespaces/a/", "a/b", "../x"])
def test_nonsense_is_not_watched(registry: Registry, resource: str) -> None:
    with refused("INVALID_ARGUMENT", "NAME_INVALID", "resource"):
        Watcher(registry.channel, resource)


@pytest.fixture
def quick_bookmarks(tmp_path: Path) -> Iterator[grpc.Channel]:
    """A log whose watches are told their place every tenth of a second."""
    descriptor = pb.DESCRIPTOR.services_by_name["EventService"]
    with (
        open_records(None, tmp_path / "data", print) as records,
        run_edge(
            (descriptor, EventService(records, Checkpoints(records), bookmark_seconds=0.1))
        ) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        yield channel


def test_a_quiet_watch_is_told_its_place(quick_bookmarks: grpc.Channel) -> None:
    watcher = Watcher(quick_bookmarks, "")

    times = [next(watcher.call).bookmark.time.ToMicroseconds() for _ in range(3)]

    assert times == sorted(times)
    assert times[-1] - times[0] > 150_000
    watcher.close()
