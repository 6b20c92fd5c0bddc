"""Single values between messages and Python: enums as words, times, parameters, labels."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from modelkeep._handle import Scalar
from modelkeep.errors import InvalidArgumentError
from modelkeep.names import check_key, shown
from modelkeep.v1 import asset_pb2, version_pb2

_INT64 = 2**63
_SURROGATE = re.compile("[\ud800-\udfff]")


def kind_word(value: int) -> str:
    """Give an asset kind as a word: `dataset`."""
    return _word(asset_pb2.AssetKind, "ASSET_KIND_", value)


def kind_value(word: str) -> asset_pb2.AssetKind.ValueType:
    """Read an asset kind; empty is unspecified."""
    value: asset_pb2.AssetKind.ValueType = _value(asset_pb2.AssetKind, "ASSET_KIND_", word, "kind")
    return value


def stage_word(value: int) -> str:
    """Give a stage as a word: `production`."""
    return _word(version_pb2.Stage, "STAGE_", value)


def stage_value(word: str) -> version_pb2.Stage.ValueType:
    """Read a stage; empty is unspecified."""
    value: version_pb2.Stage.ValueType = _value(version_pb2.Stage, "STAGE_", word, "stage")
    return value


def role_word(value: int) -> str:
    """Give an input's role as a word: `trained-on`."""
    return _word(version_pb2.InputRole, "INPUT_ROLE_", value)


def role_value(word: str) -> version_pb2.InputRole.ValueType:
    """Read an input's role; empty is unspecified."""
    value: version_pb2.InputRole.ValueType = _value(
        version_pb2.InputRole, "INPUT_ROLE_", word, "role"
    )
    return value


def _word(enum: Any, prefix: str, value: int) -> str:
    if not value:
        return ""
    try:
        name: str = enum.Name(value)
    except ValueError:  # newer than this release
        return str(value)
    return name.removeprefix(prefix).lower().replace("_", "-")


def _value(enum: Any, prefix: str, word: str, field: str) -> Any:
    if not word:
        return 0
    words = {_word(enum, prefix, value): value for value in enum.values() if value}
    found = words.get(word.lower().replace("_", "-"))
    if found is None:
        raise InvalidArgumentError(
            "FIELD_INVALID",
            f"{shown(word)} is not a {field}: {', '.join(words)}",
            field=field,
            value=shown(word),
        )
    return found


def time(value: Timestamp) -> datetime:
    """Give a time that is always there."""
    return value.ToDatetime(UTC)


def time_or_none(value: Timestamp) -> datetime | None:
    """Give a time, or nothing for one that isn't set."""
    return value.ToDatetime(UTC) if value.seconds or value.nanos else None


def timestamp(value: datetime | str, field: str) -> Timestamp:
    """Read a time: RFC 3339, or a datetime; one without a zone is local."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        result = Timestamp()
        result.FromDatetime(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        raise InvalidArgumentError(
            "FIELD_INVALID",
            f"{shown(str(value))} is not a time, such as 2026-11-30T12:00:00Z",
            field=field,
        ) from None
    return result


def duration(value: timedelta | None) -> Duration | None:
    """Give a span of time as a message."""
    if value is None:
        return None
    result = Duration()
    result.FromTimedelta(value)
    return result


def parameters(params: Mapping[str, Scalar] | None) -> dict[str, version_pb2.ParameterValue]:
    """Give parameters as messages; NumPy's scalars count as what they hold."""
    return {key: _parameter(key, value) for key, value in (params or {}).items()}


def parameter_scalar(value: version_pb2.ParameterValue) -> Scalar:
    """Give a parameter's value."""
    which = value.WhichOneof("value")
    result: Scalar = getattr(value, which) if which else ""
    return result


def _parameter(key: str, given: object) -> version_pb2.ParameterValue:
    check_key(key, "params")
    value = plain(given)
    if isinstance(value, bool):
        return version_pb2.ParameterValue(bool_value=value)
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return version_pb2.ParameterValue(int_value=value)
    if isinstance(value, float) and math.isfinite(value):
        return version_pb2.ParameterValue(double_value=value)
    if isinstance(value, str):
        text(value, f"params.{key}")
        return version_pb2.ParameterValue(string_value=value)
    raise InvalidArgumentError(
        "FIELD_INVALID",
        f"the parameter {key} is {shown(repr(given))}; one is a text, a finite number (whole "
        "ones of 64 bits) or a boolean. What is nested belongs in the recipe",
        field=f"params.{key}",
    )


def metrics(values: Mapping[str, float] | None) -> dict[str, float]:
    """Check metrics and give them as doubles; NumPy's scalars count as what they hold."""
    return {key: _metric(key, value) for key, value in (values or {}).items()}


def _metric(key: str, given: object) -> float:
    check_key(key, "metrics")
    value = plain(given)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(
            "FIELD_INVALID",
            f"the metric {key} is {shown(repr(given))}, not a number",
            field=f"metrics.{key}",
        )
    number = float(value) if abs(value) < 2**1023 else math.inf
    if not math.isfinite(number):
        raise InvalidArgumentError(
            "METRIC_NOT_FINITE", f"the metric {key} is {given}", field=f"metrics.{key}"
        )
    return number


def labels(values: Mapping[str, str] | None) -> dict[str, str]:
    """Check the keys of labels, and that their values are texts."""
    for key in values or {}:
        check_key(key, "labels")
    return {key: text(value, f"labels.{key}") for key, value in (values or {}).items()}


def merged(
    current: Mapping[str, str], added: Mapping[str, str] | None, removed: Sequence[str]
) -> dict[str, str] | None:
    """Give labels after a change, or nothing where none was asked for."""
    if not added and not removed:
        return None
    kept = {key: value for key, value in current.items() if key not in set(removed)}
    return kept | labels(added)


def fill(
    resource: Any, mask: FieldMask, new_labels: dict[str, str] | None, **texts: str | None
) -> None:
    """Put the new values into an update, and their names into its mask."""
    if new_labels is not None:
        resource.labels.update(new_labels)
        mask.paths.append("labels")
    for name, value in texts.items():
        if value is not None:
            setattr(resource, name, text(value, name))
            mask.paths.append(name)


def plain(value: object) -> object:
    """Unwrap NumPy's and other libraries' scalars, without importing them."""
    if isinstance(value, str | bool | int | float) and type(value).__module__ == "builtins":
        return value
    item = getattr(value, "item", None)
    try:
        return item() if callable(item) else value
    except (TypeError, ValueError, RuntimeError):
        return value


def text(value: str, field: str) -> str:
    """Refuse what isn't a text, or can't be written as UTF-8."""
    if isinstance(value, str) and not _SURROGATE.search(value):
        return value
    raise InvalidArgumentError(
        "FIELD_INVALID", f"{field} is {shown(repr(value))}, not a UTF-8 text", field=field
    )
