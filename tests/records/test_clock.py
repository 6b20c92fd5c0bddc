"""The log's clock: never back, and never twice the same."""

import pytest

from modelkeep_server.records import clock
from modelkeep_server.records.clock import Clock, now_us


def test_the_next_time_is_the_machines() -> None:
    before = now_us()
    peeked = Clock(0).peek()

    assert before <= peeked <= now_us()


def test_a_clock_that_went_back_does_not_take_the_log_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([100, 50, 50, 102, 200])
    monkeypatch.setattr(clock, "now_us", lambda: next(times))
    log = Clock(0)
    taken = []
    for _ in range(5):
        taken.append(log.peek())
        log.reach(taken[-1])

    assert taken == [100, 101, 102, 103, 200]


def test_a_clock_goes_on_behind_the_last_event() -> None:
    future = now_us() + 3_600_000_000

    assert Clock(future).peek() == future + 1


def test_a_time_that_was_answered_for_is_not_taken_again() -> None:
    log = Clock(0)
    log.reach(now_us() + 1_000_000)
    first = log.peek()
    log.reach(first - 5)

    assert log.peek() == first
