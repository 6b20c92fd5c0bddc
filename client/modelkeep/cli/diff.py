"""`modelkeep diff`: what differs between two versions."""

from collections.abc import Sequence
from typing import Annotated

import typer

from modelkeep import Diff, File, FileChange, ValueChange
from modelkeep.cli import output
from modelkeep.cli.arguments import whole
from modelkeep.cli.people import short
from modelkeep.cli.session import Json, Session


def diff(
    session: Session,
    base: Annotated[
        str, typer.Argument(metavar="REF", callback=whole, help="The version to compare from.")
    ],
    other: Annotated[
        str,
        typer.Argument(
            metavar="REF", callback=whole, help="The version to compare with; of any asset."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Tell what differs between two versions: parameters, metrics, labels, recipe, files.

    The exit code is 0 also where something does.
    """
    with session.registry() as registry:
        found = registry.diff(base, other)
    if as_json:
        output.document(found.to_dict())
        return
    output.line(f"{short(found.base)} → {short(found.other)}")
    if not found:
        output.line("nothing differs")
    _print_values("params", found.params)
    _print_values("metrics", found.metrics)
    _print_values("labels", found.labels)
    _print_recipe(found)
    _print_files(found.files)


def _print_values(title: str, changes: Sequence[ValueChange]) -> None:
    if changes:
        output.line(title)
        output.facts(
            (one.key, f"{output.value(one.before)} → {output.value(one.after)}") for one in changes
        )


def _print_recipe(found: Diff) -> None:
    for side, name in (("before", found.other), ("after", found.base)):
        if found.recipe and not any(getattr(one, side) is not None for one in found.recipe):
            output.line("recipe")
            output.line(f"  only {short(name)} has one, or one with more in it")
            return
    _print_values("recipe", found.recipe)


def _print_files(changes: Sequence[FileChange]) -> None:
    if changes:
        output.line("files")
        output.facts((_sign(one), f"{one.path}  {_sizes(one)}") for one in changes)


def _sign(change: FileChange) -> str:
    if change.before is None:
        return "+"
    return "-" if change.after is None else "~"


def _sizes(change: FileChange) -> str:
    return " → ".join(_size(file) for file in (change.before, change.after) if file)


def _size(file: File) -> str:
    return output.size(file.size)
