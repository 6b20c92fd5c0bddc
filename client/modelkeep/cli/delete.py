"""`modelkeep delete`, `undelete` and `purge`."""

from typing import Annotated

import typer

from modelkeep import Asset, Version
from modelkeep.cli import output
from modelkeep.cli.arguments import AssetOption, one_of
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session

_FORM = "ASSET:N"

Numbered = Annotated[
    str | None,
    typer.Argument(metavar="[ASSET:N]", help="A version by its number: [NAMESPACE/]ASSET:NUMBER."),
]


def delete(
    session: Session, ref: Numbered = None, asset: AssetOption = None, as_json: Json = False
) -> None:
    """Delete a version, or a whole asset with its versions; it can be undeleted for a time.

    Its bytes are freed later. What is in production, has an alias, or is an input of a version
    that isn't deleted is refused. Names and numbers are never used again.
    """
    one_of(ref, asset, _FORM)
    with session.registry() as registry:
        gone = registry.delete(ref) if ref is not None else registry.delete_asset(asset or "")
    option = "" if isinstance(gone, Version) else "--asset "
    until = f" until {output.moment(gone.purge_time)}" if gone.purge_time else ""
    session.answer(
        gone,
        as_json,
        f"{gone.reference} is deleted; its bytes are freed later. `modelkeep undelete "
        f"{option}{gone.reference}` takes that back{until}",
    )


def undelete(
    session: Session, ref: Numbered = None, asset: AssetOption = None, as_json: Json = False
) -> None:
    """Take a deletion back."""
    one_of(ref, asset, _FORM)
    back: Version | Asset
    with session.registry() as registry:
        back = registry.undelete(ref) if ref is not None else registry.undelete_asset(asset or "")
    session.answer(back, as_json, f"{back.reference} is there again")


def purge(
    session: Session,
    ref: Annotated[
        str,
        typer.Argument(metavar="ASSET:N", help="A deleted version by its number."),
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; it's kept in the log.")
    ],
    as_json: Json = False,
) -> None:
    """Release a deleted version's bytes for good; its record and history stay."""
    if not reason.strip():
        raise UsageError("--reason is empty; say why")
    with session.registry() as registry:
        version = registry.purge(ref, reason=reason)
    session.answer(version, as_json, f"{version.reference} is purged; its bytes are freed later")
