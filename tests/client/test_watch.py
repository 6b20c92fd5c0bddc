"""Watching goes on by itself, each event once and in order; and who did what."""

import threading
import time
from pathlib import Path

import pytest
from tests.client.conftest import Folder
from tests.client.proxy import Proxy
from tests.running import RunningServer, run_server

import modelkeep
from modelkeep import Client, Event


def _labelled(registry: Client, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        registry.update("churn:1", labels={"n": str(number)})


def _label(event: Event) -> str:
    after = event.changes[0].after
    assert after is not None
    return str(after["labels"]["n"])


@pytest.fixture
def churn(registry: Client, folder: Folder) -> modelkeep.Version:
    return registry.push("churn", folder("out", {"m": b"1"}))


def test_events_come_as_they_happen(registry: Client, churn: modelkeep.Version) -> None:
    with registry.watch("churn", after=0) as watch:
        assert next(watch).act == "version.created"
        registry.set_alias(churn, "champion")
        event = next(watch)

    assert event.act == "alias.set"
    assert event.who == "unverified:ada"
    assert event.principal.startswith("principals/")
    assert event.changes[0].resource == "namespaces/default/assets/churn/aliases/champion"
    assert event.changes[0].before is None
    assert event.changes[0].after is not None
    assert event.changes[0].after["version"] == churn.name
    assert event.name == f"events/{event.position}"


def test_without_a_position_it_begins_now(registry: Client, churn: modelkeep.Version) -> None:
    watch = registry.watch("churn")
    timer = threading.Timer(0.5, lambda: registry.set_alias(churn, "champion"))
    timer.start()

    assert next(watch).act == "alias.set"
    timer.join()
    watch.close()


@pytest.mark.parametrize(
    ("resource", "acts"),
    [
        (None, ["namespace.created", "version.created", "alias.set", "version.created"]),
        ("churn", ["version.created", "alias.set"]),
        ("default/", ["namespace.created", "version.created", "alias.set", "version.created"]),
        ("churn:1", ["version.created", "alias.set"]),
        ("churn@production", ["alias.set"]),
        ("namespaces/default/assets/other", ["version.created"]),
    ],
)
def test_history_is_of_a_resource_and_what_is_below_it(
    registry: Client, churn: modelkeep.Version, folder: Folder, resource: str, acts: list[str]
) -> None:
    registry.set_alias(churn, "production")
    registry.push("other", folder("other", {"m": b"2"}))

    events = list(registry.history(resource))

    assert [event.act for event in events][::-1] == acts
    positions = [event.position for event in events]
    assert positions == sorted(positions, reverse=True)


def test_an_event_says_what_was_before_and_after(
    registry: Client, churn: modelkeep.Version
) -> None:
    registry.set_alias(churn, "production")

    event = next(registry.history("churn"))

    change = next(change for change in event.changes if change.resource == churn.name)
    assert change.before is not None
    assert change.after is not None
    assert (change.before["stage"], change.after["stage"]) == ("development", "production")
    assert set(change.after) == set(churn.to_dict())
    assert event.to_dict()["changes"][0]["resource"].startswith("namespaces/")


def test_an_event_says_why_where_a_reason_was_given(
    registry: Client, churn: modelkeep.Version
) -> None:
    registry.delete("churn:1")
    registry.purge("churn:1", reason="by request")

    assert next(registry.history("churn")).reason == "by request"


def test_no_event_is_lost_or_repeated_across_cuts(
    shaky: Client, registry: Client, proxy: Proxy, churn: modelkeep.Version
) -> None:
    labels: list[str] = []
    with shaky.watch(churn, after=0) as watch:
        next(watch)
        for start in range(0, 30, 10):
            _labelled(registry, 5, start)
            labels += [_label(next(watch)) for _ in range(5)]
            proxy.cut()
            _labelled(registry, 5, start + 5)
            labels += [_label(next(watch)) for _ in range(5)]

    assert labels == [str(number) for number in range(30)]
    assert proxy.cuts == 3


def test_it_goes_on_after_the_server_was_restarted(tmp_path: Path, folder: Folder) -> None:
    out = folder("out", {"m": b"1"})
    with run_server(tmp_path / "data") as first:
        address = first.address
        registry = modelkeep.Client(address, cache=tmp_path / "cache")
        registry.push("churn", out)
        watch = registry.watch("churn")
        timer = threading.Timer(0.3, lambda: registry.set_alias("churn:1", "a"))
        timer.start()
        assert next(watch).act == "alias.set"
        timer.join()
    with run_server(tmp_path / "data", listen=address):
        registry.set_alias("churn:1", "b")
        assert next(watch).changes[0].resource.endswith("/b")
    watch.close()
    registry.close()


@pytest.mark.parametrize("end", ["watch", "client"])
def test_closing_ends_a_watch_that_waits_in_another_thread(server: RunningServer, end: str) -> None:
    client = modelkeep.Client(server.address)
    watch = client.watch()
    seen: list[Event] = []
    thread = threading.Thread(target=lambda: seen.extend(watch))
    thread.start()
    time.sleep(0.3)

    (watch if end == "watch" else client).close()

    thread.join(timeout=10)
    assert not thread.is_alive()
    assert seen == []
    client.close()


def test_a_position_behind_the_end_is_refused(registry: Client) -> None:
    with pytest.raises(modelkeep.OutOfRangeError) as refused:
        next(registry.watch(after=1000))

    assert refused.value.reason == "POSITION_INVALID"


def test_a_watch_knows_how_far_it_is(registry: Client, churn: modelkeep.Version) -> None:
    watch = registry.watch(after=0)
    assert watch.position == 0

    assert next(watch).position == watch.position == 1
    watch.close()
