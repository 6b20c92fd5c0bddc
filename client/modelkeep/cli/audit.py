"""`modelkeep audit`: the log's proofs, and checking them without trusting the server."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelkeep import SignedCheckpoint
from modelkeep.cli import admin, output, problems
from modelkeep.cli.extras import need_audit, need_server
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session
from modelkeep.errors import DataLossError, Error

if TYPE_CHECKING:
    from modelkeep.checkpoints import Checkpoint, LogKey

KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="The log's public key, or a file with it, that came another way than what it is to "
        "prove.",
    ),
]
Kept = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="A checkpoint that was kept, which must be borne out; may be given often.",
    ),
]


def checkpoint(
    session: Session, key: KeyOption = None, kept: Kept = None, as_json: Json = False
) -> None:
    """Print the newest signed checkpoint of the log, to be kept where its server can't write.

    With --checkpoint, once the log is shown to begin still with what it had then. Without --key the
    signature is checked by the key that the server gives, which proves nothing to who has not seen
    it before.
    """
    need_audit("modelkeep audit checkpoint")
    from modelkeep.merkle import wrong

    with session.registry() as registry:
        found = registry.checkpoint(key=_key(key) if key else None)
        for old in _kept(kept, _key(found.key)):
            shown = registry.goes_on_from(old, found.size, key=found.key)
            if shown.root_hash != found.root_hash:
                raise wrong(f"the server signed two logs of {found.size} entries")
    if as_json:
        output.document(found.to_dict())
    else:
        output.exact(found.note)


def prove(
    session: Session,
    position: Annotated[
        int, typer.Argument(metavar="POSITION", min=1, help="An event's position in the log.")
    ],
    key: KeyOption = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            metavar="N",
            min=1,
            help="Prove it of the log's first N entries, to fit a checkpoint that was kept.",
        ),
    ] = None,
) -> None:
    """Print the proof that an event is in the log, as JSON, once it is checked.

    It has the event's leaf, the hashes beside its way to the root, and the signed checkpoint.
    """
    need_audit("modelkeep audit prove")
    with session.registry() as registry:
        output.document(registry.prove(position, size, key=_key(key) if key else None).to_dict())


def export(
    session: Session,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to; a new one, or an older export.")
    ],
    key: KeyOption = None,
    as_json: Json = False,
) -> None:
    """Write the log into a folder: every entry, their signed checkpoint, and the key.

    An older export there gets what is new, once it is shown to be the same log's beginning.
    """
    need_audit("modelkeep audit export")
    from modelkeep import _log_export

    with session.registry() as registry:
        known = _key(key) if key else _log_export.known_key(folder)
        found = registry.checkpoint(key=known)
        _log_export.go_on(folder, _key(found.key), found.note, registry.leaves)
    session.answer(found, as_json, f"{folder} has {found.size:,} entries of {found.origin}")


def verify(
    session: Session,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="An export of the log.", show_default=False),
    ] = None,
    key: KeyOption = None,
    kept: Kept = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Check the database in this data folder of a stopped server.",
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="URL", help="Check this Postgres database.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the log by its public key alone: an export, or a database with what users read of it.

    A checkpoint or an export that was kept elsewhere shows that nothing older was changed since.
    Exit codes: 0, it is whole; 2, it is not, and the first entry that is wrong is named, as far as
    that can be told; 3, it can't be told. A wrong command line is 2 as well, with no report.
    """
    need_audit("modelkeep audit verify", admin.CANT_TELL)
    if folder is None and data is None and database is None:
        raise UsageError("name an export, or a database with --data or --database")
    try:
        known, checkpoints, hashes = _trusted(session, folder, key, kept)
    except DataLossError as problem:
        problems.report(problem)
        raise typer.Exit(admin.DAMAGE) from None
    except (Error, OSError) as problem:
        problems.report(problem)
        raise typer.Exit(admin.CANT_TELL) from None
    if data is not None or database is not None:
        need_server("modelkeep audit verify", admin.CANT_TELL)
        place = admin.place(data or "modelkeep-data", database or "sqlite", "local")
        if not checkpoints:
            session.say("nothing was kept elsewhere: so it agrees with itself, and that is all")
        admin.report_log(place, checkpoints, hashes, str(known) if known else None, as_json)
    if as_json:
        output.document({"size": checkpoints[-1].size, "key": str(known)})
    else:
        output.line(f"whole: {checkpoints[-1].size:,} entries, as signed by {known}")
    if key is None:
        session.say("the key is the export's own; with --key it would be one that you trust")


def _trusted(
    session: Session, folder: Path | None, key: str | None, kept: list[Path] | None
) -> "tuple[LogKey | None, list[Checkpoint], Iterable[bytes]]":
    """Read what was kept, and check the export; answer the key, checkpoints and leaf hashes."""
    from modelkeep import _log_export

    own = _log_export.known_key(folder) if folder else None
    known = _key(key) if key else own
    if known is None and (folder or kept):
        raise UsageError("there is no key to check signatures by; name the log's with --key")
    if known is None:
        return None, [], ()
    checkpoints = [known.opened(_log_export.read_note(file)) for file in kept or ()]
    if folder is None:
        return known, checkpoints, ()
    found, more = _log_export.check(folder, known, checkpoints)
    if more:
        session.say(f"what lies behind entry {found.size:,} is covered by no checkpoint")
    return known, [*checkpoints, found], _log_export.leaf_hashes(folder, found.size)


def _kept(files: list[Path] | None, key: "LogKey") -> list[SignedCheckpoint]:
    from modelkeep import _log_export

    found = []
    for file in files or ():
        note = _log_export.read_note(file)
        old = key.opened(note)
        found.append(SignedCheckpoint(old.origin, old.size, old.root.hex(), note, str(key)))
    return found


def _key(given: str) -> "LogKey":
    from modelkeep._log_export import read_note
    from modelkeep.checkpoints import LogKey

    path = Path(given)
    text = read_note(path) if "+" not in given and path.is_file() else given
    try:
        return LogKey.parse(text)
    except ValueError as problem:
        raise UsageError(f"the key {problem}") from None
