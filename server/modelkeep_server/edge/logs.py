"""The log: one structured line a call, written at its end, and whatever went wrong.

Lines are handed to a thread that writes them: where nobody reads standard error, it is that
thread which waits, and what doesn't fit is dropped and counted. No line has a secret: metadata
and messages are never logged.
"""

import atexit
import json
import logging
import select
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any, TextIO

from grpc import aio

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MAX_WAITING_LINES = 10_000
PAUSE_SECONDS = 0.02  # lines of a busy server are written many at a time

_encode = json.JSONEncoder(default=str).encode

Render = Callable[[dict[str, Any]], str]


class LineWriter:
    """Writes lines without ever making its caller wait."""

    def __init__(self, file: TextIO, dropped: Callable[[], None]) -> None:
        """Write to `file` from a thread, and tell `dropped` of each line that had no room."""
        self._file = file
        self._dropped = dropped
        self._texts: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write_line(self, text: str) -> None:
        """Take a line to write."""
        if self._texts.qsize() < MAX_WAITING_LINES:
            self._texts.put(f"{text}\n")
        else:
            self._dropped()

    def drain(self) -> None:
        """Wait until what was taken is written, but not for long."""
        written = threading.Event()
        self._texts.put(written)
        written.wait(timeout=1.0)

    def close(self) -> None:
        """Write what was taken, but not for long, and nothing more."""
        atexit.unregister(self.close)
        self._texts.put(None)
        self._thread.join(timeout=1.0)

    def isatty(self) -> bool:
        """Tell whether a person reads it."""
        return self._file.isatty()

    def _run(self) -> None:
        while True:
            items = [self._texts.get()]
            items += [self._texts.get() for _ in range(self._texts.qsize())]
            # Where it is closed or broken there is nowhere to say so.
            with suppress(OSError, ValueError):
                for piece in _pieces([item for item in items if isinstance(item, str)]):
                    self._file.write(piece)
                    self._file.flush()
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            if None in items:
                return
            time.sleep(PAUSE_SECONDS)


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Join lines to what a pipe takes at once: other processes may write to it too."""
    piece, size = "", 0
    for line in lines:
        length = len(line.encode())
        if piece and size + length > select.PIPE_BUF:
            yield piece
            piece, size = "", 0
        piece, size = piece + line, size + length
    if piece:
        yield piece


class Logger:
    """A log of events with values, from one level up."""

    def __init__(
        self, lines: LineWriter, render: Render, level: str, always: Mapping[str, object]
    ) -> None:
        """Write what `render` makes of an event, and of what `always` says in each."""
        self._lines = lines
        self._render = render
        self._lowest = LEVELS[level]
        self._always = always

    def log(self, level: str, event: str, /, **values: object) -> None:
        """Log an event; `exc_info` may be an exception, whose traceback is logged too."""
        if LEVELS[level] < self._lowest:
            return
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        fault = values.pop("exc_info", None)
        entry = {"timestamp": now, "level": level, "event": event, **self._always, **values}
        if isinstance(fault, BaseException):
            entry["exception"] = "".join(traceback.format_exception(fault)).rstrip()
        self._lines.write_line(self._render(entry))

    def debug(self, event: str, /, **values: object) -> None:
        """Log what only developers want to know."""
        self.log("debug", event, **values)

    def info(self, event: str, /, **values: object) -> None:
        """Log what happens."""
        self.log("info", event, **values)

    def warning(self, event: str, /, **values: object) -> None:
        """Log what someone should look at."""
        self.log("warning", event, **values)

    def error(self, event: str, /, **values: object) -> None:
        """Log what is broken."""
        self.log("error", event, **values)


def logger(lines: LineWriter, style: str, level: str, **always: object) -> Logger:
    """Give a log that writes `style` (`json` or `console`) from this level up."""
    return Logger(lines, _json if style == "json" else _console, level, always)


def adopt(log: Logger) -> None:
    """Bring what libraries log into this log."""
    root = logging.getLogger()
    root.handlers = [_Bridge(log)]
    root.setLevel(logging.WARNING)


def _json(entry: dict[str, Any]) -> str:
    return _encode(entry)


def _console(entry: dict[str, Any]) -> str:
    trace = entry.pop("exception", "")
    time_of_day = entry.pop("timestamp")[11:23]
    head = f"{time_of_day} {entry.pop('level'):7} {entry.pop('event')}"
    values = [f"{key}={_shown(value)}" for key, value in entry.items() if value != ""]
    return " ".join([head, *values]) + (f"\n{trace}" if trace else "")


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else ascii(text)


class _Bridge(logging.Handler):
    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        fault = record.exc_info[1] if record.exc_info else None
        if isinstance(fault, aio.BaseError):
            level, fault = "debug", None  # grpc's way to say that a caller gave up meanwhile
        self._log.log(level, record.getMessage(), logger=record.name, exc_info=fault)
