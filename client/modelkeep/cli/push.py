"""`modelkeep push`: make a file or folder the asset's next version."""

from typing import Annotated

import typer

from modelkeep.cli import arguments, output
from modelkeep.cli.arguments import Kind, LabelsOption
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session, flag


def push(
    session: Session,
    asset: Annotated[
        str,
        typer.Argument(metavar="ASSET", help="[NAMESPACE/]ASSET; made where it is new."),
    ],
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or a folder.")],
    kind: Annotated[
        Kind | None,
        typer.Option("--kind", help="The asset's kind; for a new asset by default a model."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="K=V",
            help="A parameter: V is a number, true, false or a quoted text as in JSON, else a "
            "text as it stands; may be given often.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="K=V", help="A finite number; may be given often."),
    ] = None,
    label: LabelsOption = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="REF[=ROLE]",
            help="A version that this one was made from or uses, and how: trained-on (the "
            "default for a data set), fine-tuned-from, evaluated-on, or uses (the default for "
            "anything else); may be given often.",
        ),
    ] = None,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="What is new in this version.")
    ] = "",
    description: Annotated[
        str,
        typer.Option("--description", metavar="TEXT", help="What the version is, as Markdown."),
    ] = "",
    display_name: Annotated[
        str, typer.Option("--display-name", metavar="TEXT", help="What people call the version.")
    ] = "",
    alias: Annotated[
        list[str] | None,
        typer.Option(
            "--alias",
            metavar="NAME",
            help="An alias to point at the version in the same act; `production` puts it into "
            "production; may be given often.",
        ),
    ] = None,
    if_changed: Annotated[
        bool,
        flag(
            "--if-changed",
            help="Make no version where the latest one has the same files: give that one.",
        ),
    ] = False,
    recipe: Annotated[
        bool,
        flag(
            "--recipe/--no-recipe",
            help="Keep what can be found out about this machine, its Python and the repository "
            "of the current folder, or don't.",
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Keep a file or a folder as the asset's next version.

    Only bytes that the registry doesn't have are sent. A push that broke off goes on where it
    was when it's repeated. All of the version becomes visible at once, or nothing does.
    """
    if not path:
        raise UsageError("PATH is empty; name a file or a folder")
    params, metrics = arguments.params(param), arguments.metrics(metric)
    labels, made_from = arguments.labels(label), arguments.inputs(inputs)
    with session.registry() as registry, session.transfer() as tell:
        version = registry.push(
            asset,
            path,
            kind=kind.value if kind else "",
            params=params,
            metrics=metrics,
            labels=labels,
            inputs=made_from,
            note=note,
            description=description,
            display_name=display_name,
            aliases=alias or (),
            if_changed=if_changed,
            recipe="auto" if recipe else None,
            progress=tell,
        )
    content = f"{output.counted(version.file_count, 'file')}, {output.size(version.size)}"
    names = "".join(f", @{name}" for name in version.aliases)
    # Whether it had them before is not told.
    said = "has these files" if if_changed else "is kept"
    session.answer(version, as_json, f"{version.reference} {said}: {content}{names}")
