"""The log's time: never back, and never twice the same, whatever the machine's clock does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkeep.v1.namespace_pb2 import Namespace
from modelkeep_server.domain import namespaces
from modelkeep_server.records import log, records
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.opening import open_records
from modelkeep_server.records.records import Records
from modelkeep_server.values.call import SYSTEM

HOUR_US = 3_600_000_000


class Hands:
    """The machine's clock, set by hand; in microseconds since 1970 UTC."""

    def __init__(self) -> None:
        self.now = now_us()


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    made = Hands()
    monkeypatch.setattr(records, "now_us", lambda: made.now)
    return made


@pytest.fixture
def kept(tmp_path: Path, database: str | None, hands: Hands) -> Iterator[Records]:
    with open_records(database, tmp_path / "data", pytest.fail) as opened:
        yield opened


def _event_time(kept: Records, name: str) -> int:
    namespaces.create(kept, SYSTEM, name, Namespace())
    return log.last(kept.read())[1]


def test_an_event_has_the_machines_time(kept: Records, hands: Hands) -> None:
    assert _event_time(kept, "a") == hands.now


def test_a_clock_that_went_back_does_not_take_the_log_with_it(kept: Records, hands: Hands) -> None:
    start = hands.now
    times = []
    for number, now in enumerate([100, 50, 50, 102, 200]):
        hands.now = start + now
        times.append(_event_time(kept, f"n{number}") - start)

    assert times == [100, 101, 102, 103, 200]


def test_a_time_that_was_answered_for_is_not_taken_again(kept: Records, hands: Hands) -> None:
    answered = hands.now + HOUR_US
    kept.settle(answered)
    kept.settle(hands.now)

    assert _event_time(kept, "a") == answered + 1


def test_nor_is_it_after_a_restart(tmp_path: Path, database: str | None, hands: Hands) -> None:
    answered = hands.now + HOUR_US
    with open_records(database, tmp_path / "data", pytest.fail) as before:
        before.settle(answered)

    with open_records(database, tmp_path / "data", pytest.fail) as after:
        assert _event_time(after, "a") == answered + 1
