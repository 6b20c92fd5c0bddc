"""Prints what the suites of rounds came to, a line of JSON each."""

import json
from collections import Counter
from typing import cast

import pytest

_suites: dict[str, Counter[str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test noted; reports of pytest-xdist's workers come here too."""
    if report.when != "teardown":
        return
    for name, value in report.user_properties:
        if name == "tally":
            suite, counts = cast("tuple[str, dict[str, int]]", value)  # of `tests.rounds`
            _suites.setdefault(suite, Counter()).update(counts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines."""
    for suite, counts in sorted(_suites.items()):
        terminalreporter.write_line(json.dumps({"suite": suite, **counts}))
