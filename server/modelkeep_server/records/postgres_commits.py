"""Whether a COMMIT was made whose answer was lost.

Each server has a row with the number of its last commit, which is written in the transaction
itself. A transaction's own number would not do: after a crash, or at a standby that takes over,
Postgres gives the numbers anew that no log had.
"""

import uuid
from contextlib import closing

from modelkeep_server.records.postgres_connections import connect
from modelkeep_server.records.postgres_session import PostgresSession

LOCK = "hashtext('modelkeep')"
"""Held while something is written, by whichever server."""

_BEGIN = f"SELECT pg_advisory_xact_lock({LOCK})"
_MAKE = """
CREATE TABLE IF NOT EXISTS "server" (
    "id" uuid PRIMARY KEY, "last_commit" bigint NOT NULL, "at" timestamptz NOT NULL
)
"""
_FORGET = """DELETE FROM "server" WHERE "at" < now() - interval '1 day'"""
_NOTE = """
INSERT INTO "server" ("id", "last_commit", "at") VALUES (%s, %s, now())
ON CONFLICT ("id") DO UPDATE SET "last_commit" = excluded."last_commit", "at" = excluded."at"
"""
# A write, so that no standby answers that is behind.
_ASK = """UPDATE "server" SET "at" = now() WHERE "id" = %s AND "last_commit" = %s"""


def make_place(url: str) -> None:
    """Make the table of servers, and forget those that have long been gone."""
    with closing(connect(url)) as connection, connection.transaction():
        connection.execute(_BEGIN)
        connection.execute(_MAKE)
        connection.execute(_FORGET)


class Commits:
    """The commits of one server."""

    def __init__(self) -> None:
        """Begin with none."""
        self._id = uuid.uuid4()
        self._number = 0

    def begin(self, session: PostgresSession) -> None:
        """Begin a transaction once no other server writes."""
        session.send_with("BEGIN")
        session.execute(_BEGIN)

    def commit(self, session: PostgresSession, *, channel: str) -> None:
        """Commit it, and tell who listens."""
        self._number += 1
        session.send_with(_NOTE, (self._id, self._number))
        session.send_with(f"NOTIFY {channel}")
        session.execute("COMMIT")

    def was_made(self, session: PostgresSession) -> bool:
        """Tell, on another connection, whether the last commit was made.

        What became of it is settled: whoever was committing has let go of the lock.
        """
        self.begin(session)
        found = session.execute(_ASK, (self._id, self._number)).rowcount
        session.roll_back()
        return found == 1
