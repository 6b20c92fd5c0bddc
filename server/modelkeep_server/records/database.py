"""What modelkeep needs of a database."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from modelkeep_server.records.sql import Session
from modelkeep_server.values.hints import ReadTogether

T = TypeVar("T")


class Database(Protocol):
    """Where rows are: read anywhere, written by one at a time."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers use it too. Such a one is reached over a network."""

    @property
    def writes_waiting(self) -> int:
        """How many writes wait for this server's next commit."""

    def read(self) -> Session:
        """Answer a session of this thread for reading what is committed."""

    @property
    def read_together(self) -> ReadTogether | None:
        """What runs short reads; none where they cost less than a hop to another thread."""

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction, and answer when it is committed.

        No other write goes on meanwhile, by whichever server. `work` may be run again, so it
        holds SQL and rules and nothing else.
        """


class Inspected(Session, Protocol):
    """A database that is looked at, and not used."""

    def problems(self) -> Iterator[str]:
        """Yield what the database itself finds wrong."""

    def wrong_kinds(self) -> Iterator[str]:
        """Yield the columns with values of a kind that modelkeep never writes there."""

    def interrupt(self) -> None:
        """Break off the query under way, from another thread."""
