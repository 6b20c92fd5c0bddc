"""Events, as people read them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelkeep import Change, Event
from modelkeep.cli import output
from modelkeep.cli.people import short
from modelkeep.names import Reference, VersionName

HEADERS = ("POSITION", "TIME", "WHO", "ACT", "WHAT")

_UNTOLD = frozenset({"etag", "update_time", "updater", "record_digest", "purge_time"})


def row(event: Event) -> tuple[str, str, str, str, str]:
    """Write an event in columns."""
    changes = "; ".join(_told(change) for change in event.changes)
    reason = f" ({event.reason})" if event.reason else ""
    return (
        str(event.position),
        output.moment(event.log_time),
        event.who,
        event.act,
        f"{changes}{reason}",
    )


def _told(change: Change) -> str:
    name = short(change.resource)
    before, after = change.before or {}, change.after or {}
    if "/aliases/" in change.resource:
        return f"{name} {_target(before)} → {_target(after)}"
    if before and after:
        moves = ", ".join(_moves(before, after))
        return f"{name} {moves}" if moves else name
    return name


def _written(value: str | int | bool) -> str:
    return output.brief(json.dumps(value) if isinstance(value, bool) else value)


def _target(alias: Mapping[str, Any]) -> str:
    version = alias.get("version")
    if not version:
        return "-"
    parsed = VersionName.parse(str(version))
    return str(Reference(parsed.namespace, parsed.asset, parsed.number)).rpartition("/")[2]


def _moves(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Tell what of a resource changed."""
    for key, value in after.items():
        was = before.get(key)
        if key in _UNTOLD or was == value:
            continue
        if key == "delete_time":
            yield "deleted" if value else "undeleted"
        elif isinstance(value, str | int | bool) and isinstance(was, str | int | bool):
            yield f"{key} {_written(was)} → {_written(value)}"
        else:
            yield f"{key} changed"
