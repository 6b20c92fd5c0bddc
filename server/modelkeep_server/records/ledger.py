"""What the log says last of each resource, and of each move in its history, gathered on reading it.

It may be more than memory holds, so it lies in a database of its own, in a temporary file that
goes when it is closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import apsw

_MAKE = """
CREATE TABLE entry (
    resource TEXT PRIMARY KEY, type TEXT, revision INTEGER, changes INTEGER, position INTEGER,
    body BLOB, seen INTEGER DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE move (
    resource TEXT, position INTEGER, what TEXT, seen INTEGER DEFAULT 0,
    PRIMARY KEY (resource, position)
) WITHOUT ROWID
"""
_COLUMNS = "type, revision, changes, position, body"
_FIND = f"SELECT {_COLUMNS} FROM entry WHERE resource = ?"  # noqa: S608  # no value in it
_PUT = f"INSERT OR REPLACE INTO entry (resource, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
_TAKE = f"UPDATE entry SET seen = 1 WHERE resource = ? RETURNING {_COLUMNS}"  # noqa: S608
_PUT_MOVE = "INSERT OR REPLACE INTO move (resource, position, what) VALUES (?, ?, ?)"
_TAKE_MOVE = "UPDATE move SET seen = 1 WHERE resource = ? AND position = ? RETURNING what"
_LEFT_MOVES = "SELECT resource, position, what FROM move WHERE NOT seen ORDER BY position"
_LEFT = "SELECT resource, position FROM entry WHERE NOT seen ORDER BY position"


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource after its last change.

    Attributes:
        type: The full name of its message.
        revision: Its revision.
        changes: How many events have changed it.
        position: The last of them.
        body: The fingerprint of what it was after; empty where it is no more.
    """

    type: str
    revision: int
    changes: int
    position: int
    body: bytes


class Ledger:
    """The last entries of all resources."""

    def __init__(self) -> None:
        """Begin without any."""
        self._connection = apsw.Connection("")
        self._connection.execute("PRAGMA journal_mode = OFF").fetchall()
        self._connection.execute("PRAGMA cache_size = -64000")
        self._connection.execute(_MAKE)
        self._connection.execute("BEGIN")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close(True)

    def find(self, resource: str) -> Entry | None:
        """Find a resource's entry."""
        row = self._connection.execute(_FIND, (resource,)).fetchone()
        return Entry(*row) if row else None

    def put(self, resource: str, entry: Entry) -> None:
        """Note what became of a resource."""
        values = (entry.type, entry.revision, entry.changes, entry.position, entry.body)
        self._connection.execute(_PUT, (resource, *values))

    def take(self, resource: str) -> Entry | None:
        """Find a resource's entry, and note that its row was seen."""
        row = self._connection.execute(_TAKE, (resource,)).fetchone()
        return Entry(*row) if row else None

    def left(self) -> Iterator[tuple[str, int]]:
        """Yield the resources that were not taken, with where they were changed last."""
        yield from self._connection.execute(_LEFT)

    def put_move(self, resource: str, position: int, what: str) -> None:
        """Note a move that the history must have."""
        self._connection.execute(_PUT_MOVE, (resource, position, what))

    def take_move(self, resource: str, position: int) -> str | None:
        """Find a move, and note that the history has it."""
        row = self._connection.execute(_TAKE_MOVE, (resource, position)).fetchone()
        return row[0] if row else None

    def left_moves(self) -> Iterator[tuple[str, int, str]]:
        """Yield the moves that were not taken."""
        yield from self._connection.execute(_LEFT_MOVES)
