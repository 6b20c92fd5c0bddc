"""`modelkeep namespace`: the spaces of teams."""

from datetime import timedelta
from typing import Annotated

import typer

from modelkeep.cli import arguments, output
from modelkeep.cli.arguments import LabelsOption
from modelkeep.cli.people import People, short
from modelkeep.cli.session import Json, Session

Name = Annotated[str, typer.Argument(metavar="NAME", help="The namespace.")]


def create(
    session: Session,
    name: Name,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="What it is for, as Markdown.")
    ] = "",
    display_name: Annotated[
        str, typer.Option("--display-name", metavar="TEXT", help="What people call it.")
    ] = "",
    label: LabelsOption = None,
    undelete_days: Annotated[
        int | None,
        typer.Option(
            "--undelete-days",
            metavar="N",
            min=1,
            max=36_500,
            help="For how many days what is deleted in it can be undeleted; by default 30.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a namespace."""
    labels = arguments.labels(label)
    with session.registry() as registry:
        made = registry.create_namespace(
            name,
            description=description,
            display_name=display_name,
            labels=labels,
            undelete_period=None if undelete_days is None else timedelta(days=undelete_days),
        )
    session.answer(made, as_json, f"{short(made.name)} is there")


def list_(session: Session, as_json: Json = False) -> None:
    """List the namespaces by name.

    With --json: an array.
    """
    with session.registry() as registry:
        found = list(registry.namespaces())
    if as_json:
        output.document([one.to_dict() for one in found])
        return
    rows = [
        (
            short(one.name),
            one.display_name,
            output.moment(one.create_time),
            output.first_line(one.description),
        )
        for one in found
    ]
    session.table(("NAMESPACE", "NAME", "CREATED", "DESCRIPTION"), rows, "no namespaces")


def show(session: Session, name: Name, as_json: Json = False) -> None:
    """Print a namespace."""
    with session.registry() as registry:
        found = registry.namespace(name)
        if as_json:
            output.document(found.to_dict())
            return
        output.line(short(found.name))
        output.facts(
            [
                ("name", found.display_name),
                ("description", found.description),
                ("undelete", f"for {output.counted(found.undelete_period.days, 'day')}"),
                ("creator", People(registry).name(found.creator)),
                ("created", output.moment(found.create_time)),
                *((f"label {key}", output.value(text)) for key, text in found.labels.items()),
            ]
        )
