"""Answers about differences to handles."""

import json
from collections.abc import Iterable
from typing import Any

from modelkeep import _convert
from modelkeep import _types as types
from modelkeep.v1 import version_service_pb2


def diff(pages: Iterable[version_service_pb2.CompareVersionsResponse]) -> types.Diff:
    """Read all pages of a comparison: values are on the first, files on each."""
    first, *rest = pages
    return types.Diff(
        base=first.base,
        other=first.other,
        params=_values(first.parameters),
        metrics=_values(first.metrics),
        labels=_values(first.labels),
        recipe=_values(first.recipe),
        recipe_cut=first.recipe_cut,
        files=tuple(_file(item) for page in (first, *rest) for item in page.files),
    )


def _values(
    messages: Iterable[version_service_pb2.ValueChange],
) -> tuple[types.ValueChange, ...]:
    return tuple(
        types.ValueChange(item.key, _side(item, "before"), _side(item, "after"))
        for item in messages
    )


def _side(message: version_service_pb2.ValueChange, side: Any) -> Any:
    if not message.HasField(side):
        return None
    text = getattr(message, side)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _file(message: version_service_pb2.FileChange) -> types.FileChange:
    return types.FileChange(
        message.path,
        _convert.file(message.before) if message.HasField("before") else None,
        _convert.file(message.after) if message.HasField("after") else None,
    )
