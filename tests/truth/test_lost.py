"""What a history's last reads tell of its acknowledged writes, and how a suite counts it."""

import pytest
from tests.rounds import LostError, Tally, check_kept
from tests.truth.checker import Operation
from tests.truth.clients import History


def _history(*operations: Operation) -> History:
    history = History("churn")
    history.operations = list(operations)
    return history


def _done(thing: str, kind: str, call: int, number: int, got: str = "") -> Operation:
    done = Operation(0, thing, kind, call, outcome="ok", got_number=number, got_etag=got)
    done.ended = call + 5
    return done


CREATED = _done("counter", "create", 0, 2)
MOVED, MOVED_AGAIN = _done("alias", "set", 0, 1, "r1"), _done("alias", "set", 10, 2, "r2")


@pytest.mark.parametrize(
    ("operations", "lost"),
    [
        ([CREATED, _done("counter", "read", 90, 2)], []),
        ([CREATED, _done("counter", "read", 90, 3)], []),
        ([CREATED, _done("counter", "read", 90, 1)], [CREATED]),
        ([CREATED, _done("counter", "read", 3, 1)], []),
        ([MOVED, MOVED_AGAIN, _done("alias", "read", 90, 2, "r2")], []),
        ([MOVED, MOVED_AGAIN, _done("alias", "read", 90, 1, "r1")], [MOVED_AGAIN]),
        ([MOVED, _done("alias", "set", 10, 1, "r1"), _done("alias", "read", 90, 1, "r1")], []),
        ([MOVED, MOVED_AGAIN, _done("alias", "read", 90, 0, "-")], [MOVED, MOVED_AGAIN]),
    ],
)
def test_a_write_that_the_last_read_does_not_show_is_lost(
    operations: list[Operation], lost: list[Operation]
) -> None:
    assert _history(*operations).lost() == lost


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        (LostError("a version"), (1, 0)),
        (AssertionError("other bytes"), (0, 1)),
        (ExceptionGroup("two", [ValueError(), LostError("a version")]), (1, 0)),
    ],
)
def test_what_is_lost_is_counted_apart_from_what_is_wrong(
    fault: Exception, counts: tuple[int, int]
) -> None:
    tally = Tally("suite")

    with pytest.raises(type(fault)), tally.counting_faults():
        raise fault

    assert (tally.lost, tally.wrong) == counts


def test_what_is_there_is_kept() -> None:
    check_kept(True, "a version")
    with pytest.raises(LostError, match="a version"):
        check_kept(False, "a version")
