"""modelkeep's server over Postgres and an S3 store, which kills itself at a named step.

What its writer sends to Postgres at once is a step with a name, as in `crashing_server.py`, and so
is every request that changes the store. A `commit` can be cut when it is sent and not answered, and
what brings bytes to the store when half of them are sent.
"""

import io
import os
from contextvars import ContextVar
from typing import Any

import psycopg
from tests.faults.crashing_server import Plan, Steps, die, make_batches_small
from tests.parts.s3 import ENVIRONMENT

from modelkeep_server import __main__ as program
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.blobs.s3_pool import S3Pool
from modelkeep_server.records import sealing, staging
from modelkeep_server.records.postgres_session import PostgresSession
from modelkeep_server.records.sql import Row

PIECE = 5 * 1024 * 1024  # the least that S3 takes
LEASE_US = 1  # whoever comes after it goes on at once
HAVE_A_MIDDLE = {"commit", "put object", "send piece"}
GONE_WITHOUT_COMMIT = {"lock", "write"}
_REQUESTS = {
    "put": "put object",
    "remove": "remove object",
    "begin": "begin upload",
    "send": "send piece",
    "complete": "complete upload",
    "abort": "abort upload",
}
_to_be_cut = ContextVar("to_be_cut", default=False)
_WRITES = ("INSERT", "UPDATE", "DELETE")


def serve(plan: Plan, *flags: str) -> int:
    """Serve, with small batches and pieces, until the point of the plan comes."""
    os.environ.update(ENVIRONMENT)
    make_batches_small()
    staging.LEASE_US = sealing.LEASE_US = LEASE_US
    S3Store._piece_size = lambda *_: PIECE  # type: ignore[method-assign]  # for this process
    steps = Steps(plan)
    name_statements(steps)
    name_requests(steps)
    return program.main([*flags])


def name_statements(steps: Steps) -> None:
    """Make a step of what a server's writer sends to Postgres at once."""
    really, really_exit = PostgresSession.execute, psycopg.Pipeline.__exit__

    def execute(self: PostgresSession, sql: Any, parameters: Any = None) -> psycopg.Cursor[Row]:
        what = _kind(self, sql)
        if what is None:
            return really(self, sql, parameters)
        with steps.step(what) as to_be_cut:
            _to_be_cut.set(to_be_cut)
            return really(self, sql, parameters)

    def exit_pipeline(self: psycopg.Pipeline, *error: Any) -> None:
        if _to_be_cut.get():
            die()  # all was sent, and nothing was waited for
        really_exit(self, *error)

    PostgresSession.execute = execute  # type: ignore[method-assign]  # for this process
    psycopg.Pipeline.__exit__ = exit_pipeline  # type: ignore[method-assign]  # for this process


def _kind(session: PostgresSession, sql: str) -> str | None:
    """Tell what is sent; nothing for what only reads."""
    if sql == "COMMIT":
        return "commit"
    if "pg_advisory_xact_lock" in sql:
        return "lock"
    return "write" if session._unsent or sql.startswith(_WRITES) else None


def name_requests(steps: Steps) -> None:
    """Make a step of each request that changes what is in a bucket."""
    for method, what in _REQUESTS.items():
        _name_requests(steps, method, what)
    really = S3Pool.urlopen

    def urlopen(self: S3Pool, *arguments: Any, **options: Any) -> Any:
        if _to_be_cut.get():
            options["body"] = _Half(options["body"])
        return really(self, *arguments, **options)

    S3Pool.urlopen = urlopen  # type: ignore[method-assign]  # for this process


def _name_requests(steps: Steps, method: str, what: str) -> None:
    really = getattr(S3Bucket, method)

    def named(self: S3Bucket, *arguments: Any) -> Any:
        with steps.step(what) as to_be_cut:
            _to_be_cut.set(to_be_cut)
            return really(self, *arguments)

    setattr(S3Bucket, method, named)


class _Half(io.BytesIO):
    """A body of which half is sent."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Give the first half, and die when that was sent."""
        if self.tell():
            die()
        return super().read(len(self.getbuffer()) // 2)
