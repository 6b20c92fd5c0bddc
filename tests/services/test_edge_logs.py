"""What libraries log is in the server's log, and a caller that gives up is no fault there."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from grpc import aio

from modelkeep_server.edge.logs import LineWriter, adopt, logger


class Lines:
    """A log that has taken over what libraries log."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self._writer = LineWriter(self._file, lambda: None)
        adopt(logger(self._writer, "json", "info"))

    def read(self) -> list[dict[str, Any]]:
        """Give the lines so far."""
        self._writer.drain()
        return [json.loads(line) for line in self._file.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield Lines()
    root.handlers = handlers
    root.setLevel(level)


def _log(fault: Exception) -> None:
    """Log as grpc does when a handler's answer could not be sent."""
    logging.getLogger("grpc._cython.cygrpc").error("raised in core", exc_info=fault)


def test_a_librarys_fault_is_logged_with_its_traceback(lines: Lines) -> None:
    _log(ValueError("broken"))

    assert [(line["level"], line["exception"]) for line in lines.read()] == [
        ("error", "ValueError: broken")
    ]


def test_an_answer_that_nobody_waits_for_any_more_is_no_fault(lines: Lines) -> None:
    _log(aio.BaseError("execute_batch failed"))

    assert lines.read() == []
