"""What is known: the one way to change it, and the one way to look.

Every change goes through `Records.change`: one transaction, one event. What has no event (blobs,
seals, leases, kept answers) goes through `Records.bookkeep`.
"""

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw

from modelkeep_server.records import kept_answers, log, principals, settings
from modelkeep_server.records.clock import Clock
from modelkeep_server.records.folder import DataFolder, unusable
from modelkeep_server.records.pages import Pages
from modelkeep_server.records.sql import Session
from modelkeep_server.records.sqlite import SqliteDatabaseFile
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Committed:
    """An event that was committed: its place, and what it concerns."""

    position: int
    scopes: frozenset[str]


class Records:
    """The database of a data folder."""

    def __init__(self, data: Path, on_failure: Callable[[str], None]) -> None:
        """Lock the folder, bring its schema up to date, and open it.

        `on_failure` is told once why nothing can be written any more; the server should stop.
        """
        with ExitStack() as parts:
            self._folder = DataFolder(data)
            parts.callback(self._folder.close)
            self._database = SqliteDatabaseFile(self._folder.database, on_failure)
            parts.callback(self._database.close)
            try:
                last_us = log.last(self.read())[1]
            except apsw.Error as error:
                raise unusable(self._folder.database, error) from error
            keys = self._database.write(settings.keys)
            parts.pop_all()
        self._clock = Clock(last_us)
        self._listeners: list[Callable[[Committed], None]] = []
        self.principal_key = keys.principals
        self.pages = Pages(keys.pages)

    def close(self) -> None:
        """Finish what is being written, and unlock the folder."""
        self._database.close()
        self._folder.close()

    def read(self) -> Session:
        """Answer this thread's session for reading what is committed."""
        return self._database.read()

    def log_time_us(self) -> int:
        """Tell the time of the last committed event, in microseconds since 1970 UTC."""
        return log.last(self.read())[1]

    def position(self) -> int:
        """Tell the position of the last committed event."""
        return log.last(self.read())[0]

    def bookkeep(self, work: Callable[[Session], T]) -> T:
        """Write what has no event, in one transaction. `work` may be run again."""
        return self._database.write(work)

    def change(
        self, call: Call, act: str, work: Callable[[Transaction], bytes], *, reason: str = ""
    ) -> Answer:
        """Make one change and its event in one transaction, and answer once it is committed.

        `work` runs SQL and rules only, since it may be run again, and answers the response. Where
        it changes nothing there is no event. A repeat of a `request_id` has the answer that the
        first had, and no effect.
        """
        answer, committed = self._database.write(
            lambda session: self._attempt(session, call, act, work, reason)
        )
        if committed is not None:
            for listener in self._listeners:
                listener(committed)
        return answer

    def _attempt(
        self,
        session: Session,
        call: Call,
        act: str,
        work: Callable[[Transaction], bytes],
        reason: str,
    ) -> tuple[Answer, Committed | None]:
        """Make a change and its event in an open transaction; on the writer's thread."""
        kept = kept_answers.find(session, call)
        if kept is not None:
            return kept, None
        tx = Transaction(session, call, act, log.last(session)[0] + 1, self._clock.peek())
        body = work(tx)
        event_id, committed = "", None
        if tx.changes:
            event_id = secrets.token_hex(16)
            principals.remember(session, call, tx.time_us)
            committed = Committed(tx.position, log.append(tx, event_id, reason))
            self._clock.reach(tx.time_us)
        answer = Answer(body, event_id)
        kept_answers.keep(session, call, answer, tx.time_us)
        return answer, committed

    def settle(self, time_us: int) -> None:
        """Return once every event up to this time is committed, and none will be added.

        While this server runs; after a restart on a machine whose clock was set back, events go
        on from the last one's time.
        """

        def work(_session: Session) -> None:
            self._clock.reach(time_us)

        self.bookkeep(work)

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener`, from any thread, after each event's commit."""
        self._listeners.append(listener)
