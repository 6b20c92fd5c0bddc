"""Prints what the suites of rounds came to, a line of JSON each."""

import json
from collections import Counter
from typing import cast

import pytest

_suites: dict[str, Counter[str]] = {}
_notes: dict[str, dict[str, int]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test noted; reports of pytest-xdist's workers come here too."""
    if report.when != "teardown":
        return
    for name, value in report.user_properties:
        if name == "tally":
            # Of `tests.rounds`.
            suite, counts, notes = cast("tuple[str, dict[str, int], dict[str, int]]", value)
            _suites.setdefault(suite, Counter()).update(counts)
            _notes.setdefault(suite, {}).update(notes)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines."""
    for suite, counts in sorted(_suites.items()):
        terminalreporter.write_line(json.dumps({"suite": suite, **counts, **_notes[suite]}))
