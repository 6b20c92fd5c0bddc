"""What `make mutants` calls caught: a test that fails, and nothing else."""

from pathlib import Path

import pytest
from tools.mutants import ERRORS, FAILED, PASSED, outcome_of

TESTS = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError("1 failed")

def test_that_passes():
    pass

def test_that_fails():
    assert False

def test_that_cannot_run(broken):
    pass
"""


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("test_it.py::test_that_passes", PASSED),
        ("test_it.py::test_that_fails", FAILED),
        ("test_it.py::test_that_cannot_run", ERRORS),
        ("test_it.py::test_that_is_not_there", ERRORS),
    ],
)
def test_only_a_test_that_fails_has_caught_something(
    tmp_path: Path, test: str, outcome: str
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)

    assert outcome_of(tmp_path, [test]) == outcome
