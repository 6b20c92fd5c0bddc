"""`modelkeep cache`: what pulls left on this machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from modelkeep.cli import arguments, output
from modelkeep.cli.session import Json, Session

if TYPE_CHECKING:
    from modelkeep import CacheEntry


def list_(session: Session, as_json: Json = False) -> None:
    """List what is in the cache, what was used last first. It's where MODELKEEP_CACHE says.

    With --json: an array.
    """
    from modelkeep import Cache

    cache = Cache()
    entries = cache.list()
    if as_json:
        output.document([entry.to_dict() for entry in entries])
        return
    rows = [
        (entry.kind, output.size(entry.size), output.moment(entry.used_time), entry.digest)
        for entry in entries
    ]
    session.table(("KIND", "SIZE", "USED", "DIGEST"), rows, f"nothing in {cache.path}")
    if rows:
        session.say(f"{_total(entries)} in {cache.path}")


def prune(
    session: Session,
    max_size: Annotated[
        str,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="How much to keep, as 500MB or 1.5GiB; by default nothing.",
        ),
    ] = "0",
    as_json: Json = False,
) -> None:
    """Remove what was not used for longest until the cache is small enough.

    With --json: an array of what was removed.
    """
    from modelkeep import Cache

    limit = arguments.size(max_size)
    cache = Cache()
    removed = cache.prune(limit)
    if as_json:
        output.document([entry.to_dict() for entry in removed])
    else:
        session.say(f"removed {_total(removed)} from {cache.path}")


def _total(entries: "Sequence[CacheEntry]") -> str:
    size = sum(entry.size for entry in entries)
    return f"{output.size(size)} ({output.counted(len(entries), 'entry', 'entries')})"
