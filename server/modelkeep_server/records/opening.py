"""Which database: one of Postgres, or the one in a data folder."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path

import apsw

from modelkeep.errors import Error
from modelkeep_server.records import marks, postgres_survey, sqlite_survey
from modelkeep_server.records.database import Inspected
from modelkeep_server.records.folder import DataFolder, unusable
from modelkeep_server.records.follower import Follower
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.records import Records
from modelkeep_server.records.sqlite import SqliteDatabaseFile
from modelkeep_server.values.start import StartError


@contextmanager
def open_records(
    url: str | None, data: Path, on_failure: Callable[[str], None]
) -> Iterator[Records]:
    """Open the records that a URL of Postgres names, or without one those in a data folder.

    `on_failure` is told once why nothing can be written any more, or what others write can't be
    seen; the server should stop. Raises `StartError` where they can't be opened.
    """
    with _shared(url, on_failure) if url else _alone(data, on_failure) as records:
        yield records


@contextmanager
def _shared(url: str, on_failure: Callable[[str], None]) -> Iterator[Records]:
    with closing(PostgresDatabase(url)) as database:
        database.write(marks.check_served)
        records = Records(database)
        with closing(Follower(database, records.tell, on_failure)):
            yield records


@contextmanager
def _alone(data: Path, on_failure: Callable[[str], None]) -> Iterator[Records]:
    with (
        closing(DataFolder(data)) as folder,
        closing(SqliteDatabaseFile(folder.database, on_failure)) as database,
    ):
        try:
            database.write(marks.check_served)
            records = Records(database)
        except apsw.Error as error:
            raise unusable(folder.database, error) from error
        yield records


def surveying(url: str | None, data: Path) -> Callable[[], AbstractContextManager[Inspected]]:
    """Give what opens such records to be looked at, beside servers that use them."""
    if url:
        return partial(postgres_survey.surveyed, url)
    return partial(sqlite_survey.surveyed, data / sqlite_survey.DATABASE)


def start_error(data: Path, problem: BaseException) -> StartError | None:
    """Say why a database that was opened can't be used, where `problem` is of one in a folder."""
    cause = problem.__cause__ if isinstance(problem, Error) else problem
    return unusable(data / "modelkeep.db", cause) if isinstance(cause, apsw.Error) else None
