"""The types of `google.protobuf` in requests: what they may hold, so that they have a JSON form."""

import math
from collections.abc import Callable
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from modelkeep.errors import InvalidArgumentError

_MIN_SECONDS = -62_135_596_800  # year 1
_MAX_SECONDS = 253_402_300_799  # the end of year 9999
_MAX_DURATION = 315_576_000_000
_NANOS = 1_000_000_000


def _timestamp(value: Any, path: str) -> None:
    if not (_MIN_SECONDS <= value.seconds <= _MAX_SECONDS and 0 <= value.nanos < _NANOS):
        raise _invalid(path, "must be a time of the years 1 to 9999")


def _duration(value: Any, path: str) -> None:
    fits = abs(value.seconds) <= _MAX_DURATION and abs(value.nanos) < _NANOS
    if not fits or value.seconds * value.nanos < 0:
        raise _invalid(path, "must be a duration of at most 10,000 years, of one sign")


def _struct(value: Struct, path: str) -> None:
    for key in value.fields:
        _json(value.fields[key], f"{path}[{key}]")


def _list(value: ListValue, path: str) -> None:
    for index, item in enumerate(value.values):
        _json(item, f"{path}[{index}]")


def _json(value: Value, path: str) -> None:
    kind = value.WhichOneof("kind")
    if kind is None:
        raise _invalid(path, "must have a value, if only null")
    if kind == "number_value" and not math.isfinite(value.number_value):
        raise InvalidArgumentError(
            "METRIC_NOT_FINITE", f"{path} is {value.number_value}; it must be finite", field=path
        )
    if kind == "struct_value":
        _struct(value.struct_value, path)
    elif kind == "list_value":
        _list(value.list_value, path)


def _anything(_value: Any, _path: str) -> None:
    pass


def _invalid(path: str, rule: str) -> InvalidArgumentError:
    return InvalidArgumentError("FIELD_INVALID", f"{path} {rule}", field=path)


CHECKS: dict[str, Callable[[Any, str], None]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.Struct": _struct,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Value": _json,
    "google.protobuf.FieldMask": _anything,
    "google.protobuf.Any": _anything,
}
