"""Tells of the commits of all servers on one database, each once and in their order."""

import threading
from collections.abc import Callable
from typing import Protocol

from modelkeep.errors import UnavailableError
from modelkeep_server.records import log
from modelkeep_server.records.database import Database
from modelkeep_server.records.log import Committed

_LONGEST_SECONDS = 1.0
"""So long a commit goes unseen where a notice of it is lost."""
_PAUSE_SECONDS = 0.2


class Noticing(Database, Protocol):
    """A database that gives notice of commits, by whichever server."""

    def wait(self, seconds: float) -> None:
        """Return when something may have been committed since the last time, or after so long.

        Raises `UnavailableError` where the database can't be reached.
        """

    def stop_waiting(self) -> None:
        """Let who waits hear that the database can't be reached."""


class Follower:
    """Follows the log in a thread of its own."""

    def __init__(
        self,
        database: Noticing,
        tell: Callable[[Committed], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Tell of each event from now on; `on_failure` is told why that can't be done any more."""
        self._database = database
        self._tell = tell
        self._on_failure = on_failure
        self._position = log.last(database.read())[0]
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()
        self._database.stop_waiting()
        self._thread.join(2 * _LONGEST_SECONDS)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._database.wait(_LONGEST_SECONDS)
                self._catch_up()
            except UnavailableError:
                self._closed.wait(_PAUSE_SECONDS)
            except Exception as fault:  # else watches would stand still, and nobody would know
                self._on_failure(f"the log can't be followed: {fault}")
                return

    def _catch_up(self) -> None:
        while events := log.committed_after(self._database.read(), self._position):
            for event in events:
                self._position = event.position
                self._tell(event)
