"""A backup, a restore or a move, which kills itself at a named step.

Steps are those of `crashing_server.py`, what is written to Postgres, and what is sent to S3.
"""

from collections.abc import Callable
from typing import Any

from tests.faults.crashing_server import Plan, Steps, name_files, name_sql

from modelkeep_server import moves
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.domain import moving
from modelkeep_server.records.postgres import PostgresDatabase

COMMANDS: dict[str, Callable[..., object]] = {
    "backup": moves.backup,
    "restore": moves.restore,
    "move": moves.move,
}


def run(plan: Plan, command: str, source: Any, target: Any) -> int:
    """Do it, until the point of the plan comes."""
    moving._LANES = 1  # so that the steps of each time are the same
    steps = Steps(plan)
    name_files(steps)
    name_sql(steps)
    _name(steps, PostgresDatabase, "write")
    for method in ("put", "begin", "send", "complete"):
        _name(steps, S3Bucket, method)
    COMMANDS[command](source, target, lambda _: None)
    return 0


def _name(steps: Steps, kind: type, method: str) -> None:
    really = getattr(kind, method)

    def named(self: Any, *arguments: Any, **more: Any) -> Any:
        with steps.step(f"{kind.__name__} {method}"):
            return really(self, *arguments, **more)

    setattr(kind, method, named)
