"""Whichever server is asked, it is one registry."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from tests.parts.postgres import Postgres, new_database
from tests.replicas.conftest import Pair
from tests.services.test_watch import watching
from tests.services.wire import pages

from modelkeep.v1 import version_service_pb2 as pb
from modelkeep.v1.namespace_pb2 import Namespace
from modelkeep_server.domain import namespaces
from modelkeep_server.records import log
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.opening import open_records
from modelkeep_server.values.call import SYSTEM


def test_what_one_acknowledged_the_other_tells_at_once(pair: Pair) -> None:
    one, other = pair
    for number in range(1, 20):
        assert one.create().number == number
        assert other.get("latest").number == number
        other.set_alias("champion", number)
        assert one.get("@champion").number == number


def test_numbers_have_no_gaps(pair: Pair) -> None:
    content = pair[0].seal({"f": uuid.uuid4().bytes})
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda n: pair[n % 2].create(files=content).number, range(100)))

    assert sorted(made) == list(range(1, 101))


def test_the_log_has_one_order(pair: Pair) -> None:
    content = pair[0].seal({"f": uuid.uuid4().bytes})
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: pair[n % 2].create(files=content), range(60)))

    one, other = (
        [(event.position, event.record.event_id) for event in side.log()] for side in pair
    )
    assert one == other
    times = [event.log_time.ToMicroseconds() for event in pair[0].log()]
    assert times == sorted(set(times))


def test_a_watch_at_one_brings_what_happens_at_the_other(pair: Pair) -> None:
    one, other = pair
    other.create()
    with watching(one) as watcher:
        for number in range(30):
            pair[number % 2].set_alias(f"a{number}", 1)
        seen = watcher.take(30)

    assert seen == [event.position for event in other.log()][-30:]


def test_a_commit_at_one_is_soon_seen_at_the_other(pair: Pair) -> None:
    one, other = pair
    other.create()
    with watching(one) as watcher:
        waits = []
        for number in range(20):
            other.set_alias(f"a{number}", 1)
            committed = time.monotonic()
            watcher.next()
            waits.append(time.monotonic() - committed)

    # Also on a machine that does other things meanwhile; a notice that is lost costs a second.
    assert sorted(waits)[len(waits) // 2] < 0.5


def test_a_repeat_at_the_other_has_the_first_answer(pair: Pair) -> None:
    one, other = pair
    request_id = str(uuid.uuid4())
    content = one.seal({"f": b"f"})

    first = one.create(files=content, request_id=request_id)

    assert other.create(files=content, request_id=request_id) == first
    assert one.numbers() == [1]


def test_a_page_at_one_goes_on_at_the_other(pair: Pair) -> None:
    content = pair[0].seal({"f": b"f"})
    for _ in range(10):
        pair[0].create(files=content)
    sides = iter(pair * 10)

    def page(token: str) -> pb.ListVersionsResponse:
        request = pb.ListVersionsRequest(parent=pair[0].asset(), page_size=3, page_token=token)
        return next(sides).versions.ListVersions(request)

    found = [version.number for part in pages(page, "versions") for version in part]
    assert found == list(range(10, 0, -1))


def test_what_was_answered_as_the_past_stays_so_at_the_other(postgres_server: Postgres) -> None:
    url = new_database(postgres_server.url())
    with open_records(url, Path(), print) as one, open_records(url, Path(), print) as other:
        answered = now_us() + 3_600_000_000
        one.settle(answered)
        namespaces.create(other, SYSTEM, "later", Namespace())

        assert log.last(one.read())[1] > answered


def test_as_of_now_is_answered_at_either(pair: Pair) -> None:
    one, other = pair
    one.create(aliases=["champion"])
    one.create()
    for number in (2, 1, 2):
        now = Timestamp()
        now.FromMicroseconds(now_us())
        request = pb.GetVersionRequest(name=one.version("@champion"), as_of_time=now)
        before = other.versions.GetVersion(request).number
        one.set_alias("champion", number)

        assert one.versions.GetVersion(request).number == before
