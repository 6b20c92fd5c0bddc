"""How often a suite tries, and what came of it.

A suite of rounds tries as often in CI (and in `make test`) as a person waits for, and more often
in `make test-long`, which prints a line of JSON for each: tried, lost, wrong.
"""

import os
import random
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

LONG = os.environ.get("LONG") == "1"
"""Whether this is the long round."""


def rounds(short: int, long: int) -> int:
    """Tell how many rounds to try."""
    return long if LONG else short


def seed() -> int:
    """Give what random choices begin with: `SEED`, or always 1, or in the long round something new.

    So what passed once passes again, and the long round looks further. It's printed, to repeat it.
    """
    chosen = _seed()
    sys.stdout.write(f"to repeat: SEED={chosen}\n")
    return chosen


@cache
def _seed() -> int:
    """Choose once, so that all of a test's choices can be repeated."""
    given = os.environ.get("SEED")
    return int(given) if given else secrets.randbits(32) if LONG else 1


def spread(size: int, short: int, long: int) -> list[int]:
    """Choose a random number below `size` for each round, one in each part of equal length."""
    tries, rng = rounds(short, long), random.Random(seed())
    return [int(size * (number + rng.random()) / tries) for number in range(tries)]


class LostError(AssertionError):
    """What was acknowledged is not there."""


class Tally:
    """What a suite's rounds came to; a test has it as the fixture `tally`.

    Attributes:
        suite: The suite's name; tests of one name add up.
        tried: Rounds, sequences or requests.
        lost: What was acknowledged and is gone.
        wrong: What is there and isn't right, or was answered wrongly.
        notes: What else the suite's line of JSON says.
    """

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.tried = 0
        self.lost = 0
        self.wrong = 0
        self.notes: dict[str, int] = {}

    @contextmanager
    def counting_faults(self) -> Iterator[None]:
        """Count what the block finds: a `LostError` as lost, another error as wrong."""
        try:
            yield
        except BaseException as fault:
            is_lost = _is_lost(fault)
            self.lost += is_lost
            self.wrong += not is_lost
            raise


def _is_lost(fault: BaseException) -> bool:
    if isinstance(fault, BaseExceptionGroup):
        return fault.subgroup(LostError) is not None
    return isinstance(fault, LostError)


def check_kept(kept: object, what: str) -> None:
    """Hold that something acknowledged is there."""
    if not kept:
        raise LostError(what)


@contextmanager
def tallying(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Count for the suite that the test's mark `rounds("name")` names."""
    mark = request.node.get_closest_marker("rounds")
    assert mark is not None, "a test that counts rounds is marked with its suite"
    tally = Tally(*mark.args)
    try:
        yield tally
    finally:
        counts = {"tried": tally.tried, "lost": tally.lost, "wrong": tally.wrong}
        request.node.user_properties.append(("tally", (tally.suite, counts, tally.notes)))
