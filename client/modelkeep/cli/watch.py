"""`modelkeep watch`: events as they happen."""

from typing import Annotated

import typer

from modelkeep.cli import output
from modelkeep.cli.events import row
from modelkeep.cli.session import Json, Session


def watch(
    session: Session,
    asset: Annotated[
        str | None,
        typer.Argument(
            metavar="[ASSET]",
            help="Only what happens to this asset, version, alias or namespace (fraud/).",
        ),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="POSITION",
            min=0,
            help="Begin after this position of the log; 0 is its beginning. By default, now.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print events as they happen, until Ctrl-C.

    A lost connection is made anew, and no event is left out. With --json: one document a line.
    """
    with session.registry() as registry:
        for event in registry.watch(asset, after=after):
            if as_json:
                output.json_line(event.to_dict())
            else:
                output.line("  ".join(row(event)))
                output.flush()
