"""The log's clock: never back, and never twice the same."""

import time


class Clock:
    """Gives each event a later time than the one before, whatever the machine's clock does.

    Only the writer's thread uses it, so it needs no lock.
    """

    def __init__(self, last_us: int) -> None:
        """Begin after the last event's time, in microseconds since 1970 UTC."""
        self._last_us = last_us

    def peek(self) -> int:
        """Tell the time that the next event would have."""
        return max(now_us(), self._last_us + 1)

    def reach(self, time_us: int) -> None:
        """Let every later event be later than this.

        Also before the commit: the next of the same batch must be later still, and that a time is
        left out where the batch fails does no harm.
        """
        self._last_us = max(self._last_us, time_us)


def now_us() -> int:
    """Tell the machine's time, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000
