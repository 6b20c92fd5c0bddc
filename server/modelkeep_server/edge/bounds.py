"""The bounds of single values, and what is said of a value outside them."""

import math
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from modelkeep.errors import InvalidArgumentError
from modelkeep.v1.options_pb2 import FieldRule

Check = Callable[[Any, str], None]
"""Refuses a value; told the path of the field it is in."""


def sized(check: Check, rule: FieldRule | None) -> Check:
    """Refuse a message that is too large, before `check` looks into it."""
    limit = rule.max_message_bytes if rule else 0
    if not limit:
        return check

    def check_size(message: Message, path: str) -> None:
        if (size := message.ByteSize()) > limit:
            raise _too_long(path, limit, size)
        check(message, path)

    return check_size


def short(limit: int, check: Check) -> Check:
    """Refuse a text of more bytes than this, before `check` reads it."""

    def check_length(text: str, path: str) -> None:
        if len(text) * 4 > limit and (size := len(text.encode())) > limit:
            raise _too_long(path, limit, size)
        check(text, path)

    return check_length


def enum(numbers: set[int]) -> Check:
    """Refuse a value that is none of these."""

    def check(number: int, path: str) -> None:
        if number not in numbers:
            raise _invalid(path, f"{path} is {number}, which this server doesn't know")

    return check


def at_least(lowest: int) -> Check:
    """Refuse a number below this."""

    def check(number: int, path: str) -> None:
        if number < lowest:
            raise _invalid(path, f"{path} is {number}; it must be at least {lowest}")

    return check


def finite(number: float, path: str) -> None:
    """Refuse what JSON has no number for."""
    if not math.isfinite(number):
        raise InvalidArgumentError(
            "METRIC_NOT_FINITE", f"{path} is {number}; it must be finite", field=path
        )


def required(path: str, message: str) -> InvalidArgumentError:
    """Say that something is not there."""
    return InvalidArgumentError("FIELD_REQUIRED", message, field=path)


def _invalid(path: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError("FIELD_INVALID", message, field=path)


def _too_long(path: str, limit: int, actual: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        "FIELD_TOO_LONG",
        f"{path} has {actual} bytes; it may have {limit}",
        field=path,
        limit=limit,
        actual=actual,
    )


def too_many(path: str, limit: int, actual: int) -> InvalidArgumentError:
    """Say that there is too much of something."""
    return InvalidArgumentError(
        "TOO_MANY_ITEMS",
        f"{path} has {actual} entries; it may have {limit}",
        field=path,
        limit=limit,
        actual=actual,
    )
