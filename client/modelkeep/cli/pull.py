"""`modelkeep pull`: take a version's files back."""

from typing import Annotated

import typer

from modelkeep.cli import output
from modelkeep.cli.arguments import RefPath
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session, flag
from modelkeep.cli.times import At, read_time
from modelkeep.errors import InvalidArgumentError
from modelkeep.names import Reference, VersionName


def pull(
    session: Session,
    ref: RefPath,
    dest: Annotated[
        str,
        typer.Argument(
            metavar="DEST",
            help="The folder to make, also for one file. One that is there must be empty, or hold "
            "the same files.",
        ),
    ],
    at: At = None,
    force: Annotated[
        bool, flag("--force", help="Replace what is at DEST, whatever it is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a version's files into a folder, every byte checked.

    Nothing is at DEST before all of it is right. A pull that broke off goes on where it was when
    it's repeated. With --json: the version, and `path`, the folder.
    """
    if not dest:
        raise UsageError("DEST is empty; name a folder")
    time = read_time(at)
    with session.registry() as registry, session.transfer() as tell:
        version = registry.version(ref, at=time)
        name = VersionName.parse(version.name)
        exact = Reference(name.namespace, name.asset, name.number, None, _path(ref))
        folder = registry.pull(exact, dest, force=force, progress=tell)
    if as_json:
        output.document(version.to_dict() | {"path": str(folder)})
    else:
        session.say(f"{exact} is in {folder}")


def _path(ref: str) -> str:
    try:
        return Reference.parse(ref).path
    except InvalidArgumentError:
        return ""  # a resource name, which has none
