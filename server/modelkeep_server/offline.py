"""Is what is stored whole? Asked of a stopped server's folder, of Postgres, or of a backup."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from modelkeep.errors import UnavailableError
from modelkeep_server.backups import is_of_backup, opened
from modelkeep_server.blobs import BlobFiles, open_files
from modelkeep_server.domain import ownership, verify_blobs
from modelkeep_server.domain.keeping import kept
from modelkeep_server.domain.verify import COUNTED, audit, is_settled, unreadable, verify
from modelkeep_server.records import folder
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.postgres_survey import surveyed
from modelkeep_server.records.stopped import stopped
from modelkeep_server.values.findings import (
    CantTellError,
    Damage,
    Finding,
    Orphan,
    UnreadableError,
)
from modelkeep_server.values.kept_log import Kept
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.place import Place
from modelkeep_server.values.start import StartError
from modelkeep_server.values.subset import WHOLE, Subset

__all__ = [
    "CantTellError",
    "Damage",
    "Finding",
    "Kept",
    "Orphan",
    "Subset",
    "check",
    "check_backup",
    "check_log",
    "counts",
]


def check(
    place: Place, read_data: bool, checked: Counter[str], subset: Subset = WHOLE
) -> Iterator[Finding]:
    """Yield what is found in a registry, or in a subset of it, counting in `checked`.

    Nothing of a stopped server's folder is changed. Raises `CantTellError` where it can't be told.
    """
    files = _files(place)
    if place.database is None:
        return _check_folder(place.data, files, place.store_name, read_data, checked, subset)
    return _check_postgres(place.database, files, place.store_name, read_data, checked, subset)


def check_backup(
    source: str, read_data: bool, checked: Counter[str], subset: Subset = WHOLE
) -> Iterator[Finding]:
    """Yield what is wrong in a backup: all that it names, and not what others beside it do."""
    try:
        with opened(source) as backup:
            database, files = backup.database, backup.files
            found = verify(database, files, read_data=read_data, checked=checked, subset=subset)
            yield from (one for one in found if is_of_backup(one))
    except UnreadableError as error:
        yield unreadable(error)
    except (MoveError, StartError, UnavailableError) as error:
        raise CantTellError(str(error)) from error


def check_log(place: Place, kept: Kept, checked: Counter[str]) -> Iterator[Finding]:
    """Yield where a registry's log is not what was kept of it, or its rows not what the log says.

    Its bytes are not looked at. Raises `CantTellError` where it can't be told.
    """
    opening = stopped(place.data) if place.database is None else surveyed(place.database)
    try:
        with opening as database, database.one_state():
            yield from audit(database, checked, kept)
    except UnreadableError as error:
        yield unreadable(error)
    except UnavailableError as error:
        raise CantTellError(str(error)) from error


def _files(place: Place) -> BlobFiles:
    try:
        return open_files(place.blobs, place.keys, place.data)
    except StartError as error:
        raise CantTellError(str(error)) from error


def _check_folder(
    data: Path, files: BlobFiles, name: str, read_data: bool, checked: Counter[str], subset: Subset
) -> Iterator[Finding]:
    try:
        with stopped(data) as database:
            ownership.check(database, files, name)
            for found in folder.strangers(data):
                yield verify_blobs.stranger(found)
            yield from verify(database, files, read_data=read_data, checked=checked, subset=subset)
    except UnreadableError as error:
        yield unreadable(error)
    except UnavailableError as error:
        raise CantTellError(str(error)) from error


def _check_postgres(
    url: str, files: BlobFiles, name: str, read_data: bool, checked: Counter[str], subset: Subset
) -> Iterator[Finding]:
    """Yield what is wrong in a registry on Postgres, whose servers may go on beside this.

    What they bring meanwhile, and parts that they are sent, are no findings.
    """
    try:
        with (
            surveyed(url) as database,
            closing(PostgresDatabase(url)) as writing,
            kept(writing.write, is_shared=True),
            database.one_state(),
        ):
            ownership.check(database, files, name)
            found = verify(database, files, read_data=read_data, checked=checked, subset=subset)
            yield from (one for one in found if is_settled(one))
    except UnreadableError as error:
        yield unreadable(error)
    except UnavailableError as error:
        raise CantTellError(str(error)) from error


def counts(checked: Counter[str]) -> dict[str, int]:
    """Tell what was looked at, by kind."""
    return {kind: checked[kind] for kind in COUNTED}
