"""Makes a skipped test fail the run where CI is `true`, and names each.

A part that's missing is skipped aloud on a developer's machine; in CI nothing may be missing.
Expected failures (`xfail`) are no skips. `make test` loads it: `pytest -p tests.plugins.no_skips`.
"""

import os

import pytest

_skipped: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test that was skipped."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that was skipped as a whole."""
    _note(report)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that would have passed."""
    if _is_forbidden(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which, and why each was skipped."""
    if _is_forbidden(terminalreporter.config):
        terminalreporter.section("skipped, which CI=true forbids", red=True)
        for name, reason in sorted(_skipped.items()):
            terminalreporter.write_line(f"{name}: {reason}")


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        place = report.longrepr
        _skipped[report.nodeid] = place[2] if isinstance(place, tuple) else str(place)


def _is_forbidden(config: pytest.Config) -> bool:
    # Workers of pytest-xdist report to the one process that decides.
    is_worker = hasattr(config, "workerinput")
    return bool(_skipped) and not is_worker and os.environ.get("CI") == "true"
