"""The base of what the registry answers, and its JSON form."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

Scalar = str | int | float | bool
"""A parameter's value. Compared by type: `1` is not `1.0`."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A value that the registry answered."""

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as JSON: what the command line prints with `--json`.

        Times are RFC 3339 texts in UTC, what is absent is `None`.
        """
        return {item.name: to_json(getattr(self, item.name)) for item in fields(self)}


def to_json(value: object) -> Any:
    """Give a handle, or anything in one, as JSON."""
    if isinstance(value, Handle):
        return value.to_dict()
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, timedelta):
        return span_text(value)
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def time_text(time: datetime) -> str:
    """Write a time as RFC 3339 in UTC, to the microsecond where it has any."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def span_text(span: timedelta) -> str:
    """Write a span of time as ProtoJSON does: `2592000s`, `1.5s`."""
    return f"{span / timedelta(seconds=1):.6f}".rstrip("0").rstrip(".") + "s"
