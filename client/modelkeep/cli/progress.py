"""How far a push or a pull is: bars on a terminal, a line now and then elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modelkeep import Progress
from modelkeep.cli import output

OnProgress = Callable[[Progress], None]

FIRST_LINE_SECONDS = 2.0
LINE_SECONDS = 10.0


@contextmanager
def shown(quiet: bool) -> Iterator[OnProgress | None]:
    """Give what a transfer tells its progress to, until the block ends."""
    if quiet:
        yield None
    elif _is_terminal():
        from modelkeep.cli.bars import Bars

        with Bars() as bars:
            yield bars.tell
    else:
        yield Lines().tell


class Lines:
    """A line after 2 seconds and then every 10, for logs."""

    def __init__(self) -> None:
        self._phase = ""
        self._start = self._rate_start = time.monotonic()
        self._start_bytes = 0
        self._next = self._start + FIRST_LINE_SECONDS

    def tell(self, now: Progress) -> None:
        """Note how far it is, and say so where it's time."""
        clock = time.monotonic()
        if now.phase != self._phase:
            self._phase, self._rate_start, self._start_bytes = now.phase, clock, now.done_bytes
        if clock < self._next:
            return
        self._next = clock + LINE_SECONDS
        rate = (now.done_bytes - self._start_bytes) / max(clock - self._rate_start, 0.001)
        output.say(f"{now.phase}: {', '.join([amount(now), *_speed(now, rate)])}")


def amount(now: Progress) -> str:
    """Write how much is done: `1.0 MiB of 4.0 MiB, 3 of 12 files`."""
    files = f"{now.done_files:,} of {output.counted(now.total_files, 'file')}"
    if not now.total_bytes:
        return files if now.total_files else output.counted(now.done_files, "file")
    return f"{output.size(now.done_bytes)} of {output.size(now.total_bytes)}, {files}"


def _speed(now: Progress, rate: float) -> list[str]:
    if not now.total_bytes or rate <= 0:
        return []
    left = max(now.total_bytes - now.done_bytes, 0) / rate
    return [f"{output.size(rate)}/s", f"{duration(left)} left"]


def duration(seconds: float) -> str:
    """Write a span of time: `1:05:00`, `3:20`, `12 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
