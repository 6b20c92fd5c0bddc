"""`modelkeep edit`: what of a version or an asset may change."""

from typing import Annotated

import typer

from modelkeep import Asset, Version
from modelkeep.cli import arguments
from modelkeep.cli.arguments import AssetOption, LabelsOption
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session


def edit(
    session: Session,
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="[REF]", callback=arguments.whole, help=f"A version: {arguments.REFERENCE}."
        ),
    ] = None,
    asset: AssetOption = None,
    description: Annotated[
        str | None,
        typer.Option("--description", metavar="TEXT", help="What it is, as Markdown."),
    ] = None,
    display_name: Annotated[
        str | None, typer.Option("--display-name", metavar="TEXT", help="What people call it.")
    ] = None,
    label: LabelsOption = None,
    remove_label: Annotated[
        list[str] | None,
        typer.Option(
            "--remove-label", metavar="K", help="A label to take away; may be given often."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change the description, display name or labels of a version or, with --asset, an asset.

    Labels are added to those that are there, or replace what has the same key. Everything else
    about a version never changes.
    """
    arguments.one_of(ref, asset, "REF")
    labels, remove = arguments.labels(label), remove_label or []
    if description is None and display_name is None and not labels and not remove:
        raise UsageError(
            "nothing to change: give --description, --display-name, --label or --remove-label"
        )
    if both := sorted(set(labels) & set(remove)):
        raise UsageError(f"the label {both[0]} is to be set and removed")
    changed: Version | Asset
    with session.registry() as registry:
        if ref is not None:
            changed = registry.update(
                ref,
                description=description,
                display_name=display_name,
                labels=labels,
                remove_labels=remove,
            )
        else:
            changed = registry.update_asset(
                asset or "",
                description=description,
                display_name=display_name,
                labels=labels,
                remove_labels=remove,
            )
    session.answer(changed, as_json, f"{changed.reference} is changed")
