"""The commands, in the order in which people meet them."""

import os
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from modelkeep.cli import (
    admin,
    admin_moves,
    aliases,
    audit,
    cache,
    delete,
    diff,
    edit,
    evaluate,
    files,
    health,
    history,
    listing,
    namespaces,
    operations,
    pull,
    push,
    restore,
    serve,
    show,
    watch,
)
from modelkeep.cli.session import Quiet, Session, Url, check_url, register
from modelkeep.cli.version import version_line

_RUN = "Run a registry"
_KEEP = "Keep and take"
_LOOK = "Look"
_CHANGE = "Change"
_AROUND = "Around it"

_STORY = """
modelkeep serve               [dim]# in one terminal: a registry on this machine[/dim]

modelkeep push churn ./out    [dim]# in another: keep a file or a folder[/dim]

modelkeep pull churn ./model  [dim]# take the latest version back, verified[/dim]
"""

app = typer.Typer(
    name="modelkeep",
    help="The open model registry: keep models, data sets and prompts as numbered versions that "
    "never change, say which one is in production, and take any of them back, verified.",
    epilog=_STORY,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(version_line(), nl=False)
        raise typer.Exit


@app.callback()
def _common(
    ctx: typer.Context,
    url: Url = None,
    quiet: Quiet = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, metavar="", help="Print the version."
        ),
    ] = False,
) -> None:
    if url is not None:
        check_url(url)
        os.environ["MODELKEEP_URL"] = url
    ctx.obj = Session(quiet=quiet)


def _group(name: str, panel: str, text: str) -> typer.Typer:
    group = typer.Typer(name=name, help=text, no_args_is_help=True)
    app.add_typer(group, rich_help_panel=panel)
    return group


_Commands = dict[str, Callable[..., None]]


def _add(panel: str, commands: _Commands) -> None:
    for name, function in commands.items():
        register(app, name, function, panel)


def _add_to(group: typer.Typer, commands: _Commands) -> None:
    for name, function in commands.items():
        register(group, name, function)


app.command("serve", rich_help_panel=_RUN)(serve.serve)
app.command("health", rich_help_panel=_RUN)(health.health)
_add(_KEEP, {"push": push.push, "pull": pull.pull})
_add(
    _LOOK,
    {
        "list": listing.list_,
        "show": show.show,
        "files": files.files,
        "diff": diff.diff,
        "evaluations": evaluate.evaluations,
        "history": history.history,
        "watch": watch.watch,
    },
)
_add(
    _CHANGE,
    {
        "edit": edit.edit,
        "evaluate": evaluate.evaluate,
        "restore": restore.restore,
        "delete": delete.delete,
        "undelete": delete.undelete,
        "purge": delete.purge,
    },
)
_add_to(
    _group("admin", _RUN, "What the operator of a server does."),
    {
        "verify": admin.verify,
        "gc": operations.gc,
        "operations": operations.operations,
        "cancel": operations.cancel,
        "backup": admin_moves.backup,
        "restore": admin_moves.restore,
        "migrate-store": admin_moves.migrate_store,
    },
)
_add_to(
    _group("audit", _LOOK, "Prove what the log says, without trusting the server."),
    {
        "checkpoint": audit.checkpoint,
        "prove": audit.prove,
        "export": audit.export,
        "verify": audit.verify,
    },
)
_add_to(
    _group("alias", _CHANGE, "Point names such as `production` at versions."),
    {"set": aliases.set_, "remove": aliases.remove},
)
_add_to(
    _group("namespace", _AROUND, "The spaces of teams; `default` is there from the start."),
    {"create": namespaces.create, "list": namespaces.list_, "show": namespaces.show},
)
_add_to(
    _group("cache", _AROUND, "What pulls left on this machine."),
    {"list": cache.list_, "prune": cache.prune},
)


def run(arguments: Sequence[str]) -> int:
    """Run a command; gives the exit code, or raises what went wrong."""
    try:
        code = app(args=list(arguments), prog_name="modelkeep", standalone_mode=False)
    except SystemExit as ended:  # how the parser ends where nobody reads the output
        if isinstance(ended.__context__, BrokenPipeError):
            raise ended.__context__ from None
        raise
    return code if isinstance(code, int) else 0
