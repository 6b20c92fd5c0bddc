"""A short soak: `make soak` goes on for longer, with more clients."""

import pytest
from tests.soak.run import Plan, soak


@pytest.mark.faults
def test_a_short_soak_loses_nothing() -> None:
    totals, faults = soak(Plan(minutes=0.5, clients=60, seed=1))

    assert faults == []
    done = ("restarts", "collections", "checks", "backups")
    assert min(totals[each] for each in done) > 0, totals
