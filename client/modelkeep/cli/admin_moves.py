"""`modelkeep admin backup`, `restore` and `migrate-store`: a whole registry, copied."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelkeep import Progress
from modelkeep.cli import admin, output
from modelkeep.cli.extras import need_server
from modelkeep.cli.problems import FAILED, UsageError
from modelkeep.cli.progress import OnProgress
from modelkeep.cli.session import Json, Session, flag

if TYPE_CHECKING:
    from modelkeep_server.moves import Copied, Place


def _option(name: str, metavar: str, text: str, variable: str | None = None) -> Any:
    return typer.Option(name, metavar=metavar, envvar=variable, show_envvar=False, help=text)


Data = Annotated[
    str,
    _option(
        "--data",
        "DIR",
        "The registry's data folder. By default MODELKEEP_DATA, or ./modelkeep-data.",
        "MODELKEEP_DATA",
    ),
]
Database = Annotated[
    str,
    _option(
        "--database",
        "URL",
        "The registry's database. By default MODELKEEP_DATABASE, or sqlite: in the data folder.",
        "MODELKEEP_DATABASE",
    ),
]
Blobs = Annotated[
    str,
    _option(
        "--blobs",
        "URL",
        "The store of the registry's bytes. By default MODELKEEP_BLOBS, or local: in the data "
        "folder.",
        "MODELKEEP_BLOBS",
    ),
]
_HERE = "modelkeep-data"


def backup(
    session: Session,
    dest: Annotated[
        str,
        typer.Argument(
            metavar="DEST",
            help="A folder for backups, made where it is new, or s3://BUCKET/PREFIX?endpoint=URL.",
        ),
    ],
    data: Data = _HERE,
    database: Database = "sqlite",
    blobs: Blobs = "local",
    as_json: Json = False,
) -> None:
    """Back a registry up, whether or not its servers are running.

    What was answered before it began is in it. Bytes that DEST has of earlier backups are not
    copied again.
    """
    need_server("modelkeep admin backup")
    from modelkeep_server import moves

    with _refusing("backup"), session.transfer() as show:
        made, copied = moves.backup(_place(data, database, blobs), _named(dest), _teller(show))
    if as_json:
        output.document({"backup": made, **asdict(copied)})
    else:
        session.say(f"backed up to {made}: {_told(copied)}")


def restore(
    session: Session,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="The place that was given to backup, for its latest, or one of its backups.",
        ),
    ],
    data: Data = _HERE,
    database: Database = "sqlite",
    blobs: Blobs = "local",
    as_json: Json = False,
) -> None:
    """Make a registry of a backup, in an empty place; then check it as verify does.

    Where it was cut short, the same command goes on.
    """
    need_server("modelkeep admin restore")
    from modelkeep_server import moves

    place = _place(data, database, blobs)
    with _refusing("restore"), session.transfer() as show:
        copied = moves.restore(_named(source), place, _teller(show))
    _finish(session, place, copied, "restored", as_json)


def migrate_store(
    session: Session,
    from_data: Annotated[
        str,
        _option(
            "--from-data",
            "DIR",
            "The data folder of the registry as it is. By default MODELKEEP_FROM_DATA, or "
            "./modelkeep-data.",
            "MODELKEEP_FROM_DATA",
        ),
    ] = _HERE,
    from_database: Annotated[
        str,
        _option(
            "--from-database",
            "URL",
            "Its database. By default MODELKEEP_FROM_DATABASE, or sqlite: in the data folder.",
            "MODELKEEP_FROM_DATABASE",
        ),
    ] = "sqlite",
    from_blobs: Annotated[
        str,
        _option(
            "--from-blobs",
            "URL",
            "The store of its bytes. By default MODELKEEP_FROM_BLOBS, or local: in that folder.",
            "MODELKEEP_FROM_BLOBS",
        ),
    ] = "local",
    to_data: Annotated[
        str,
        _option(
            "--to-data",
            "DIR",
            "The data folder to come. By default MODELKEEP_TO_DATA; not needed where database and "
            "bytes are both elsewhere.",
            "MODELKEEP_TO_DATA",
        ),
    ] = "",
    to_database: Annotated[
        str,
        _option(
            "--to-database",
            "URL",
            "The database to come. By default MODELKEEP_TO_DATABASE, or sqlite: in that folder.",
            "MODELKEEP_TO_DATABASE",
        ),
    ] = "sqlite",
    to_blobs: Annotated[
        str,
        _option(
            "--to-blobs",
            "URL",
            "The store to come. By default MODELKEEP_TO_BLOBS, or local: in that folder.",
            "MODELKEEP_TO_BLOBS",
        ),
    ] = "local",
    give_up: Annotated[
        bool,
        flag("--give-up", help="Let servers use the registry again where it is; move nothing."),
    ] = False,
    force: Annotated[
        bool,
        flag("--force", help="With --give-up: also a move that is finished."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Move a registry, whose servers are stopped, to other storage: an empty place.

    What it leaves stays as it was, and servers refuse to start on it. Where it was cut short, the
    same command goes on.
    """
    need_server("modelkeep admin migrate-store")
    from modelkeep_server import moves

    here = _place(from_data, from_database, from_blobs, "from-")
    if give_up:
        with _refusing("migrate-store"):
            was_moved = moves.give_up(here, finished=force)
        session.say("servers may use it again" if was_moved else "it was not moved")
        return
    place = _place(to_data or _HERE, to_database, to_blobs, "to-")
    if not to_data and (place.database is None or place.blobs is None):
        raise UsageError("--to-data is missing; name a new, empty folder")
    with _refusing("migrate-store"), session.transfer() as show:
        copied = moves.move(here, place, _teller(show))
    _finish(session, place, copied, "moved", as_json)


def _finish(session: Session, place: "Place", copied: "Copied", done: str, as_json: bool) -> None:
    """Tell what was copied, and check it."""
    from modelkeep_server.moves import shown

    if not as_json:
        session.say(f"{done} to {shown(place)}: {_told(copied)}")
    admin.report(place, read_data=False, as_json=as_json, more={done: asdict(copied)})


def _told(copied: "Copied") -> str:
    sent = f"{output.counted(copied.sent, 'blob')} ({output.size(copied.sent_bytes)}) copied"
    return f"{sent}, {copied.there:,} ({output.size(copied.there_bytes)}) were there"


def _teller(show: OnProgress | None) -> "Any":
    def tell(now: "Copied") -> None:
        if show is not None:
            done_bytes, done = now.sent_bytes + now.there_bytes, now.sent + now.there
            show(Progress("copying", done_bytes, now.total_bytes, done, now.total))

    return tell


def _place(data: str, database: str, blobs: str, prefix: str = "") -> "Place":
    return admin.place(_named(data), database, blobs, prefix)


def _named(path: str) -> str:
    if not path:
        raise UsageError("a folder's name is empty; name one")
    return path


@contextmanager
def _refusing(command: str) -> Iterator[None]:
    """Say in one line why a command was not done."""
    from modelkeep_server.moves import REFUSALS

    try:
        yield
    except REFUSALS as problem:
        output.say(" ".join(f"modelkeep admin {command}: {problem}".split()))
        raise typer.Exit(FAILED) from None
