"""A backup, opened to be checked or restored."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelkeep_server.blobs import Backups, BlobFiles, open_backups
from modelkeep_server.records.database import Inspected
from modelkeep_server.records.folder import migrate
from modelkeep_server.records.sqlite_survey import DATABASE, SqliteSurvey
from modelkeep_server.records.stopped import stopped
from modelkeep_server.values.findings import Damage, Finding, OlderError
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.s3_place import S3Keys

KEYS = "MODELKEEP_BACKUP_"
"""What the variables begin with that have keys of the store of backups, where it has its own."""


def open_place(where: str) -> tuple[Backups, str | None]:
    """Open a place with backups, and tell which of them is meant, if one is."""
    try:
        keys = S3Keys.of(os.environ, KEYS)
    except ValueError as wrong:
        raise MoveError(str(wrong)) from None
    try:
        return open_backups(where, keys)
    except ValueError as wrong:
        raise MoveError(f"the place of backups is wrong; it {wrong}") from None


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup, and its name in its place."""

    name: str
    database: Inspected
    files: BlobFiles


@contextmanager
def opened(where: str, default: str | None = None) -> Iterator[Backup]:
    """Read a backup, by its own name or the latest of a place; nothing of it is changed.

    Of a place `default` is taken rather than the latest, if it is there.
    """
    place, point = open_place(where)
    points = place.points()
    latest = default if default in points else next(reversed(points), None)
    found = point or latest
    if found not in points:
        raise MoveError(f"{place.shown(point or '')} has no backup; name the place of some")
    with place.opened(found) as folder, _database(folder) as database:
        yield Backup(found, database, place.files)


def is_of_backup(finding: Finding) -> bool:
    """Tell whether something that was found is about the backup, and not about others beside it."""
    return isinstance(finding, Damage) and finding.what != "stranger"


@contextmanager
def _database(folder: Path) -> Iterator[SqliteSurvey]:
    """Read a backup's database; of an older schema a copy, which is brought up to date."""
    with ExitStack() as parts:
        try:
            yield parts.enter_context(stopped(folder))
            return
        except OlderError:
            copy = Path(parts.enter_context(TemporaryDirectory(prefix="modelkeep-")))
        shutil.copyfile(folder / DATABASE, copy / DATABASE)
        migrate(copy / DATABASE, same_boot=False)
        yield parts.enter_context(stopped(copy))
