"""Many at once: numbers without gaps, one in production, one who wins."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import TypeVar

import grpc
from tests.running import RunningServer
from tests.services.wire import Registry, status

from modelkeep.v1 import version_pb2, version_service_pb2
from modelkeep.v1.asset_service_pb2 import DeleteAssetRequest, UndeleteAssetRequest

T = TypeVar("T")


@contextmanager
def clients(shared: RunningServer, registry: Registry, count: int) -> Iterator[list[Registry]]:
    """Give clients that each have a connection and a name of their own."""
    channels = [grpc.insecure_channel(shared.address, [("client", n)]) for n in range(count)]
    namespace = registry.name.removeprefix("namespaces/")
    try:
        yield [Registry(channel, namespace, f"c{n}") for n, channel in enumerate(channels)]
    finally:
        for channel in channels:
            channel.close()


def _at_once(clients: list[Registry], act: Callable[[Registry, int], T]) -> list[T]:
    """Let all of them act at the same moment."""
    together = threading.Barrier(len(clients))

    def run(index: int) -> T:
        together.wait()
        return act(clients[index], index)

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(run, range(len(clients))))


def _won(act: Callable[[], object]) -> str:
    try:
        act()
    except grpc.RpcError as error:
        return status(error).reason
    return "won"


def test_fifty_clients_get_fifty_numbers_without_gaps(
    registry: Registry, shared: RunningServer
) -> None:
    sealed = [registry.seal({"f": b"%d" % n}) for n in range(50)]
    with clients(shared, registry, 50) as fifty:
        made = _at_once(fifty, lambda client, n: client.create(files=sealed[n]))

    assert sorted(version.number for version in made) == list(range(1, 51))
    for version in made:
        assert registry.get(version.number) == version
    assert len({version.record.author for version in made}) == 50
    assert registry.get_asset().version_count == 50
    events = registry.log(registry.asset())
    assert [event.record.act for event in events] == ["version.created"] * 50
    named = [change.resource for event in events for change in event.record.changes]
    assert named[1:] == [registry.version(number) for number in range(1, 51)]


def test_clients_that_push_the_same_get_one_version_if_they_want(
    registry: Registry, shared: RunningServer
) -> None:
    sealed = registry.seal({"f": uuid.uuid4().bytes})
    with clients(shared, registry, 16) as sixteen:
        made = _at_once(
            sixteen, lambda client, _: client.create(files=sealed, if_changed=True).number
        )

    assert made == [1] * 16


def test_one_version_is_in_production_whoever_moves_it(
    registry: Registry, shared: RunningServer
) -> None:
    sealed = registry.create(aliases=["production"]).record.digest
    for _ in range(9):
        registry.create(files=sealed)
    done = threading.Event()
    seen: list[list[int]] = []

    def look() -> None:
        while not done.is_set():
            answer = registry.versions.ListVersions(
                version_service_pb2.ListVersionsRequest(parent=registry.asset())
            )
            seen.append(
                [v.number for v in answer.versions if v.stage == version_pb2.STAGE_PRODUCTION]
            )
            pointed = [v.number for v in answer.versions if "production" in v.aliases]
            assert pointed == seen[-1]

    with clients(shared, registry, 30) as thirty, ThreadPoolExecutor(1) as looker:
        looking = looker.submit(look)
        _at_once(
            thirty,
            lambda client, n: [client.set_alias("production", (n + m) % 10 + 1) for m in range(4)],
        )
        done.set()
        looking.result()

    assert {len(numbers) for numbers in seen} == {1}
    stages = [registry.get(number).stage for number in range(1, 11)]
    assert stages.count(version_pb2.STAGE_PRODUCTION) == 1
    now = registry.get("@production")
    assert now.stage == version_pb2.STAGE_PRODUCTION
    moves = registry.versions.ListAliasChanges(
        version_service_pb2.ListAliasChangesRequest(parent=registry.asset(), page_size=1000)
    ).alias_changes
    assert moves[0].version == now.name
    assert all(a.version != b.version for a, b in pairwise(moves))


def test_one_of_those_who_saw_the_same_alias_moves_it(
    registry: Registry, shared: RunningServer
) -> None:
    registry.create(aliases=["champion"])
    for _ in range(5):
        etag = registry.set_alias("champion", 1).etag
        target = registry.create().number
        with clients(shared, registry, 12) as twelve:
            ends = _at_once(
                twelve,
                lambda client, _, target=target, etag=etag: _won(  # type: ignore[misc]
                    lambda: client.set_alias("champion", target, etag=etag)
                ),
            )
        assert sorted(ends) == ["ETAG_MISMATCH"] * 11 + ["won"]
        registry.set_alias("champion", 1)


def test_one_of_those_who_make_an_alias_makes_it(registry: Registry, shared: RunningServer) -> None:
    registry.create()

    with clients(shared, registry, 12) as twelve:
        ends = _at_once(
            twelve, lambda client, _: _won(lambda: client.set_alias("new", 1, etag="-"))
        )

    assert sorted(ends) == ["ETAG_MISMATCH"] * 11 + ["won"]


def test_one_of_those_who_saw_the_same_version_deletes_it(
    registry: Registry, shared: RunningServer
) -> None:
    version = registry.create()

    with clients(shared, registry, 12) as twelve:
        ends = _at_once(twelve, lambda client, _: _won(lambda: client.delete(1, etag=version.etag)))

    assert sorted(ends) == ["ETAG_MISMATCH"] * 11 + ["won"]
    assert registry.acts().count("version.deleted") == 1


def test_a_version_is_not_deleted_while_it_gets_an_alias(
    registry: Registry, shared: RunningServer
) -> None:
    for _ in range(10):
        number = registry.create().number
        with clients(shared, registry, 2) as (one, other):
            ends = _at_once(
                [one, other],
                lambda client, n, number=number: _won(  # type: ignore[misc]
                    lambda: client.set_alias("a", number) if n else client.delete(number)
                ),
            )
        assert sorted(ends) in (["VERSION_HELD", "won"], ["VERSION_DELETED", "won"])
        version = registry.get(number)
        assert version.HasField("delete_time") != ("a" in version.aliases)


def test_a_version_that_is_there_is_found_or_said_to_be_hidden(
    registry: Registry, shared: RunningServer
) -> None:
    registry.create()
    done = threading.Event()
    seen: Counter[str] = Counter()

    def look(client: Registry, _: int) -> None:
        while not done.is_set():
            seen[_won(lambda: client.get(1))] += 1

    def hide_and_show(client: Registry, _: int) -> None:
        for _ in range(150):
            client.assets.DeleteAsset(DeleteAssetRequest(name=client.asset()))
            client.assets.UndeleteAsset(UndeleteAssetRequest(name=client.asset()))
        done.set()

    with clients(shared, registry, 4) as four:
        _at_once(four, lambda client, n: (look if n else hide_and_show)(client, n))

    assert set(seen) == {"won", "ASSET_DELETED"}


def test_names_that_differ_in_case_are_made_once(registry: Registry, shared: RunningServer) -> None:
    names = ["churn", "Churn", "CHURN", "cHurn"]
    sealed = registry.seal({"f": b"1"})
    with clients(shared, registry, 4) as four:
        ends = _at_once(four, lambda client, n: _won(lambda: client.create(names[n], sealed)))

    assert sorted(ends) == ["NAME_TAKEN"] * 3 + ["won"]


def test_a_channel_is_closed_without_a_trace(shared: RunningServer) -> None:
    with closing(grpc.insecure_channel(shared.address, [("client", "gone")])) as channel:
        assert Registry(channel).name
