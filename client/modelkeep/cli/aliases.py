"""`modelkeep alias`: names that point at versions, and move."""

from typing import Annotated

import typer

from modelkeep.cli.arguments import Ref
from modelkeep.cli.people import short
from modelkeep.cli.session import Json, Session


def set_(
    session: Session,
    ref: Ref,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The alias; `production` puts REF into production."),
    ],
    as_json: Json = False,
) -> None:
    """Point an alias at a version, wherever it pointed before.

    `production` is that stage's pointer: REF goes into production, and the version that was
    there is archived, in the same act.
    """
    with session.registry() as registry:
        alias = registry.set_alias(ref, name)
    session.answer(alias, as_json, f"{short(alias.name)} is {short(alias.version)}")


def remove(
    session: Session,
    alias: Annotated[
        str, typer.Argument(metavar="ASSET@NAME", help="The alias, as in churn@champion.")
    ],
    as_json: Json = False,
) -> None:
    """Remove an alias; its version stays. Removing `production` archives the version."""
    with session.registry() as registry:
        removed = registry.remove_alias(alias)
    session.answer(removed, as_json, f"{short(removed.name)} is removed")
