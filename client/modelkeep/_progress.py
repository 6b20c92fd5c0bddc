"""How far a transfer is, told to whoever asked."""

import contextlib
import threading
import time
from collections.abc import Iterator

from modelkeep._refs import OnProgress
from modelkeep._types import Progress

_PAUSE_SECONDS = 0.1


class Meter:
    """Counts a phase's bytes and files from many threads, and tells about ten times a second."""

    def __init__(
        self, tell: OnProgress | None, phase: str, total_bytes: int = 0, total_files: int = 0
    ) -> None:
        self._tell = tell
        self._phase = phase
        self._totals = (total_bytes, total_files)
        self._bytes = self._files = 0
        self._next = 0.0
        self._lock = threading.Lock()
        self._working = 0
        self._moved_time = time.monotonic()

    def add(self, size: int = 0, files: int = 0) -> None:
        """Count what was done."""
        with self._lock:
            self._bytes += size
            self._files += files
            now = self._moved_time = time.monotonic()
            if self._tell is not None and now >= self._next:
                self._next = now + _PAUSE_SECONDS
                self._say()

    @property
    def idle_seconds(self) -> float:
        """For how long nothing was counted, while nothing was being done here either."""
        with self._lock:
            return 0.0 if self._working else time.monotonic() - self._moved_time

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Say that this machine is busy, so that nothing needs to come meanwhile."""
        with self._lock:
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                self._moved_time = time.monotonic()

    def finish(self) -> None:
        """Tell how the phase ended."""
        with self._lock:
            if self._tell is not None:
                self._say()

    def _say(self) -> None:
        assert self._tell is not None
        total_bytes, total_files = self._totals
        self._tell(Progress(self._phase, self._bytes, total_bytes, self._files, total_files))
