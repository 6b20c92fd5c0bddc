"""modelkeep's server, which kills itself at a named step.

Every call that makes something last is a step with a name: what the blob store does to its files,
what the database's writer says (`savepoint`, `release`, `commit`), and what SQLite then writes and
syncs. The log is short, so that acts meet its being brought into the file: the writes and the sync
of the `database`. A step's second time is `commit#2`. Steps count from when the file `armed`
exists.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from modelkeep_server import __main__ as program
from modelkeep_server.blobs import local_staged
from modelkeep_server.domain import collection, sealing, turns, upkeep
from modelkeep_server.records import operations, sqlite

FLUSH_BYTES = 256 * 1024
SEAL_BATCH = 4
COLLECTED = 8
LEASE_US = 1  # whoever comes after it goes on at once
LOG_PAGES = 8  # fewer than most acts write
_SQL = {"SAVEPOINT job": "savepoint", "RELEASE job": "release", "COMMIT": "commit"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which steps to count, and at which to die.

    Attributes:
        data: The data folder.
        armed: The file from whose existence on steps count.
        trace: The file that is told each step's name.
        point: The step at which to die; none if empty.
        side: `before` or `after` it, or `during` it, where it can be cut in the middle.
    """

    data: Path
    armed: Path
    trace: Path
    point: str = ""
    side: str = "before"


def serve(plan: Plan, *flags: str) -> int:
    """Serve, with small batches, until the point of the plan comes."""
    local_staged.FLUSH_BYTES = FLUSH_BYTES
    sqlite.LOG_PAGES = LOG_PAGES
    make_batches_small()
    steps = Steps(plan)
    name_files(steps)
    name_sql(steps)
    return program.main([*flags])


def make_batches_small() -> None:
    """Let acts have many steps, and no others than their own."""
    sealing.BATCH = SEAL_BATCH
    collection.TAKEN = COLLECTED
    operations.LEASE_US = LEASE_US
    # What a server does by itself would mix with the steps of the act.
    upkeep.sweep = lambda *_: None
    turns.Turn._run = lambda *_: None  # type: ignore[method-assign]  # for this process


class Steps:
    """The steps so far."""

    def __init__(self, plan: Plan) -> None:
        self.data = plan.data
        self._plan = plan
        self._lock = threading.Lock()
        self._times: Counter[str] = Counter()

    @contextmanager
    def step(self, what: str) -> Iterator[bool]:
        """Take a step, and die at its side if it is the one; yields whether to die during it."""
        if not self._plan.armed.exists():
            yield False
            return
        name = self._name(what)
        self._die_at(name, "before")
        yield (name, "during") == (self._plan.point, self._plan.side)
        self._die_at(name, "after")

    def _name(self, what: str) -> str:
        with self._lock:
            self._times[what] += 1
            name = f"{what}#{self._times[what]}"
            with self._plan.trace.open("a") as trace:
                trace.write(f"{name}\n")
        return name

    def _die_at(self, name: str, side: str) -> None:
        if (name, side) == (self._plan.point, self._plan.side):
            die()


def die() -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def name_files(steps: Steps) -> None:
    """Make a step of what is done to the blob store's files."""
    opened: dict[int, str | None] = {}
    really_open = os.open

    def open_named(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        what = _kind(steps.data, path)
        if what is None or not flags & os.O_CREAT:
            fd = really_open(path, flags, *rest, **more)
        else:
            with steps.step(f"create {what}"):
                fd = really_open(path, flags, *rest, **more)
        opened[fd] = what
        return fd

    os.open = open_named
    for call in ("fsync", "fdatasync", "ftruncate", "fchmod", "pwrite"):
        _wrap(steps, call, lambda fd, *_: opened.get(fd))
    for call in ("unlink", "chmod"):
        _wrap(steps, call, lambda path, *_: _kind(steps.data, path))
    _wrap(steps, "rename", lambda old, new: _both(_kind(steps.data, old), _kind(steps.data, new)))


def _wrap(steps: Steps, call: str, describe: Callable[..., str | None]) -> None:
    really = getattr(os, call)

    def named(*arguments: Any, **more: Any) -> Any:
        what = describe(*arguments)
        if what is None:
            return really(*arguments, **more)
        with steps.step(f"{call} {what}"):
            return really(*arguments, **more)

    setattr(os, call, named)


def _kind(data: Path, path: Any) -> str | None:
    """Tell what a path of the store is; nothing for others."""
    if not isinstance(path, str | Path) or not Path(path).is_relative_to(data):
        return None
    match Path(path).relative_to(data).parts:
        case ("staging",):
            return "staging folder"
        case ("staging", _):
            return "part"
        case ("blobs", _):
            return "blob folder"
        case ("blobs", _, _):
            return "blob"
        case ("backups", *_):
            return "backup"
    return None


def _both(old: str | None, new: str | None) -> str | None:
    return f"{old} to {new}" if old and new else None


def name_sql(steps: Steps) -> None:
    """Make a step of what the writer says, and of what SQLite does to its files."""

    class Connection(apsw.Connection):
        def execute(self, statements: str, *arguments: Any, **more: Any) -> Any:
            what = _SQL.get(statements)
            if what is None:
                return super().execute(statements, *arguments, **more)
            with steps.step(what):
                return super().execute(statements, *arguments, **more)

    class File(apsw.VFSFile):
        def __init__(self, name: Any, flags: list[int]) -> None:
            super().__init__("unix", name, flags)
            path = name.filename() if isinstance(name, apsw.URIFilename) else name
            self._what = "log" if path.endswith("-wal") else "database"

        def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  # SQLite's name
            with steps.step(f"write {self._what}"):
                super().xWrite(data, offset)

        def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
            with steps.step(f"sync {self._what}"):
                super().xSync(flags)

    class Files(apsw.VFS):
        def xOpen(self, name: Any, flags: list[int]) -> File:  # noqa: N802  # SQLite's name
            return File(name, flags)

    _KEPT.append(Files("steps", "unix", makedefault=True))
    apsw.Connection = Connection  # type: ignore[misc]  # for this process


_KEPT: list[apsw.VFS] = []  # which SQLite uses for as long as the process lives
