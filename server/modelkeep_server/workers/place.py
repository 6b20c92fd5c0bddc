"""A place for a worker: who has it, and when it may be given anew."""

import time

from modelkeep_server.settings import Settings
from modelkeep_server.workers.process import Worker

SETTLED_SECONDS = 10.0
"""A worker that has lived so long is started anew at once when it ends."""
PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""How long nobody is started after so many that ended soon."""


class Place:
    """Where a worker is, or will be after a pause that grows while workers end soon."""

    def __init__(self, number: int) -> None:
        """Begin without a worker."""
        self.number = number
        self.worker: Worker | None = None
        self._early_ends = 0
        self._filled = 0.0
        self._next = 0.0

    def fill(self, settings: Settings) -> None:
        """Start a worker here."""
        self.worker = Worker(self.number, settings)
        self._filled = time.monotonic()

    def empty(self) -> None:
        """Take note that the worker has ended."""
        self.worker = None
        now = time.monotonic()
        settled = now - self._filled >= SETTLED_SECONDS
        self._early_ends = 0 if settled else self._early_ends + 1
        self._next = now + PAUSES_SECONDS[min(self._early_ends, len(PAUSES_SECONDS) - 1)]

    def pause(self) -> float:
        """Tell in how many seconds a worker may be started."""
        return max(0.0, self._next - time.monotonic())
