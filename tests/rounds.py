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
    given = os.environ.get("SEED")
    chosen = int(given) if given else secrets.randbits(32) if LONG else 1
    sys.stdout.write(f"to repeat: SEED={chosen}\n")
    return chosen


def spread(size: int, short: int, long: int) -> list[int]:
    """Choose a random number below `size` for each round, one in each part of equal length."""
    tries, rng = rounds(short, long), random.Random(seed())
    return [int(size * (number + rng.random()) / tries) for number in range(tries)]


class Tally:
    """What a suite's rounds came to; a test has it as the fixture `tally`.

    Attributes:
        suite: The suite's name; tests of one name add up.
        tried: Rounds, sequences or requests.
        lost: What was acknowledged and is gone.
        wrong: What is there and isn't right, or was answered wrongly.
    """

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.tried = 0
        self.lost = 0
        self.wrong = 0


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
        request.node.user_properties.append(("tally", (tally.suite, counts)))
