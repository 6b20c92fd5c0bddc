"""Times as people write them, for `--at`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from modelkeep.cli.problems import UsageError
from modelkeep.names import shown

At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Take REF as it was at TIME: 2026-11-30T12:00:00Z (RFC 3339), a date, which is its "
        "first moment, or '10 minutes ago'. Without a zone it's this machine's local time.",
    ),
]

_AGO = re.compile(
    r"(\d{1,9})\s*(second|sec|s|minute|min|m|hour|h|day|d|week|w)s?\s+ago", re.IGNORECASE
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_time(text: str | None, now: datetime | None = None) -> datetime | None:
    """Read a time; `now` is what relative ones start from."""
    if text is None:
        return None
    try:
        ago = _AGO.fullmatch(text.strip())
        if ago:
            start = now or datetime.now(UTC)
            return start - timedelta(**{_UNITS[ago[2][0].lower()]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--at {shown(text)} is not a time, such as 2026-11-30T12:00:00Z, 2026-11-30 or "
            "'10 minutes ago'"
        ) from None
