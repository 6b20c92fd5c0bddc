"""What is known: the one way to change it, and the one way to look.

Every change goes through `Records.change`: one transaction, one event. What has no event (blobs,
seals, leases, kept answers) goes through `Records.bookkeep`.
"""

import secrets
from collections.abc import Callable
from typing import TypeVar

from modelkeep_server.records import kept_answers, log, origin, principals, settings
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.database import Database
from modelkeep_server.records.log import Committed
from modelkeep_server.records.pages import Pages
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call
from modelkeep_server.values.hints import ReadTogether

T = TypeVar("T")


class Records:
    """All that is known, in a database."""

    def __init__(self, database: Database) -> None:
        """Use this database; `opening.py` makes one."""
        self._database = database
        keys = database.write(_begin)
        self._listeners: list[Callable[[Committed], None]] = []
        self.principal_key = keys.principals
        self.log_key = keys.log
        self.pages = Pages(keys.pages)
        self.known_position = self.position()
        """Of the last event that this server knows of."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers use the database too. It is reached over a network then."""
        return self._database.is_shared

    @property
    def writes_waiting(self) -> int:
        """How many writes wait for this server's next commit."""
        return self._database.writes_waiting

    def read(self) -> Session:
        """Answer this thread's session for reading what is committed."""
        return self._database.read()

    @property
    def read_together(self) -> ReadTogether | None:
        """What runs short reads; none where they cost less than a hop to another thread."""
        return self._database.read_together

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
        if committed is not None and not self.is_shared:
            self.tell(committed)
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
        tx = Transaction(session, call, act, *log.next_place(session, now_us()))
        body = work(tx)
        event_id, committed = "", None
        if tx.changes:
            event_id = secrets.token_hex(16)
            principals.remember(session, call, tx.time_us)
            committed = Committed(tx.position, log.append(tx, event_id, reason))
        answer = Answer(body, event_id)
        kept_answers.keep(session, call, answer, tx.time_us)
        return answer, committed

    def settle(self, time_us: int) -> None:
        """Return once every event up to this time is committed, and none will be added."""
        if time_us > self.log_time_us():
            self.bookkeep(lambda session: log.settle(session, time_us))

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener`, from any thread, after each event's commit."""
        self._listeners.append(listener)

    def tell(self, committed: Committed) -> None:
        """Call the listeners."""
        # Threads may tell of two commits in the other order.
        self.known_position = max(self.known_position, committed.position)
        for listener in self._listeners:
            listener(committed)


def _begin(session: Session) -> settings.Keys:
    log.begin(session)
    origin.begin(session)
    return settings.keys(session)
