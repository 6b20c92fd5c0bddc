"""`modelkeep history`: who did what to an asset, when."""

from itertools import islice
from typing import Annotated

import typer

from modelkeep.cli import output
from modelkeep.cli.events import HEADERS, row
from modelkeep.cli.session import Json, Session


def history(
    session: Session,
    asset: Annotated[
        str,
        typer.Argument(
            metavar="ASSET",
            help="An asset; or a version (churn:7), an alias (churn@champion) or a namespace "
            "(fraud/).",
        ),
    ],
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most the last N events.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell who did what to an asset and its versions, the latest first.

    With --json: an array.
    """
    with session.registry() as registry:
        events = list(islice(registry.history(asset), limit))
    if as_json:
        output.document([event.to_dict() for event in events])
    else:
        session.table(HEADERS, [row(event) for event in events], "no events")
