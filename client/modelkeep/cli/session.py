"""What every command has: where the registry is, how much to say, and how it's registered."""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from modelkeep.cli import output, progress
from modelkeep.cli.allocator import keep_memory
from modelkeep.cli.problems import UsageError

if TYPE_CHECKING:
    from modelkeep import Client


def flag(*names: str, help: str) -> Any:  # noqa: A002  # typer's word
    """Make an option without a value, and without a word for one in its help."""
    return typer.Option(*names, metavar="", help=help)


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Where the registry is: HOST:PORT, https://HOST[:PORT] or http://HOST[:PORT]. "
        "By default MODELKEEP_URL, or 127.0.0.1:50051.",
    ),
]
Quiet = Annotated[
    bool,
    flag("--quiet", "-q", help="Print results and errors only: no words, no progress."),
]
Json = Annotated[bool, flag("--json", help="Print one JSON document to standard output.")]


class Jsonable(Protocol):
    """A value that the registry answered."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command."""

    url: str | None = None
    quiet: bool = False

    @contextmanager
    def registry(self) -> "Iterator[Client]":
        """Give the registry, until the block ends."""
        from modelkeep import Client

        with Client(self.url) as registry:
            yield registry

    def transfer(self) -> AbstractContextManager[progress.OnProgress | None]:
        """Give what shows the progress of a push or a pull, until the block ends."""
        keep_memory()
        return progress.shown(self.quiet)

    def say(self, text: str) -> None:
        """Tell people something, unless they want quiet."""
        if not self.quiet:
            output.say(text)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
        """Print rows, or tell people that there are none."""
        if rows:
            output.table(headers, rows)
        else:
            self.say(nothing)

    def answer(self, handle: Jsonable, as_json: bool, words: str) -> None:
        """Tell what came of it: as JSON, or in words."""
        if as_json:
            output.document(handle.to_dict())
        else:
            self.say(words)


def check_url(url: str | None) -> None:
    """Refuse an address that is there and empty: an unset variable, and not the usual place."""
    if url == "":
        raise UsageError("--url is empty; leave it out, or say HOST:PORT")


def register(
    app: typer.Typer, name: str, function: Callable[..., None], panel: str | None = None
) -> None:
    """Make a function, whose first parameter is the `Session`, a command with the common options.

    They are taken before the command's name too: see `app.py`.
    """
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def run(ctx: typer.Context, url: str | None, quiet: bool, **given: Any) -> None:
        common = ctx.find_object(Session) or Session()
        try:
            check_url(url)
            function(Session(url, quiet or common.quiet), **given)
        except UsageError as problem:
            problem.ctx = ctx
            raise

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        inspect.Parameter("url", keyword, annotation=Url, default=None),
        inspect.Parameter("quiet", keyword, annotation=Quiet, default=False),
    ]
    own = [one.replace(kind=keyword) for one in list(signature.parameters.values())[1:]]
    parameters = [added[0], *own, *added[1:]]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # typer reads it
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    app.command(name, rich_help_panel=panel)(run)
