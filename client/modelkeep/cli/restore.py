"""`modelkeep restore`: an older version, as the newest."""

from typing import Annotated

import typer

from modelkeep.cli.arguments import Ref
from modelkeep.cli.people import short
from modelkeep.cli.session import Json, Session


def restore(
    session: Session,
    ref: Ref,
    note: Annotated[
        str,
        typer.Option(
            "--note", metavar="TEXT", help="The new version's note; by default what it restores."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Make an older version's files and record the asset's next version; no bytes are sent."""
    with session.registry() as registry:
        version = registry.restore(ref, note=note)
    words = f"{version.reference} is {short(version.restored_from)} again"
    session.answer(version, as_json, words)
