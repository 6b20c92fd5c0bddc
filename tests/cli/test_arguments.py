"""What people give with options."""

from datetime import UTC, datetime, timedelta

import pytest

from modelkeep.cli import arguments
from modelkeep.cli.arguments import Kind
from modelkeep.cli.problems import UsageError
from modelkeep.cli.times import read_time
from modelkeep.v1 import asset_pb2

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("false", False),
        ('"7"', "7"),
        ('""', ""),
        ("", ""),
        ("l2", "l2"),
        ("True", "True"),
        ("null", "null"),
        ("007", "007"),
        ("1_000", "1_000"),
        ("[1, 2]", "[1, 2]"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("a=b", "a=b"),
    ],
)
def test_a_parameter_is_a_json_scalar_or_a_text(text: str, value: object) -> None:
    read = arguments.params([f"k={text}"])["k"]

    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("text", ["1e999", "9223372036854775808", "-9223372036854775809"])
def test_a_parameter_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="out of range"):
        arguments.params([f"k={text}"])


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "x", "", "1_0", "1,5", "1e999"])
def test_a_metric_is_a_finite_number(text: str) -> None:
    with pytest.raises(UsageError, match="--metric 'k'"):
        arguments.metrics([f"k={text}"])


@pytest.mark.parametrize("text", ["k", "=v", ""])
def test_a_label_is_a_key_and_a_value(text: str) -> None:
    with pytest.raises(UsageError, match="not of the form K=V"):
        arguments.labels([text])


def test_a_key_is_given_once() -> None:
    with pytest.raises(UsageError, match="'k' is given twice"):
        arguments.labels(["k=1", "k=2"])


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(UsageError, match="trained-on, fine-tuned-from, evaluated-on, uses"):
        arguments.inputs(["churn=made-of"])


def test_kinds_are_those_of_the_contract() -> None:
    named = [name.removeprefix("ASSET_KIND_").lower() for name in asset_pb2.AssetKind.keys()[1:]]

    assert [kind.value for kind in Kind] == named


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("500", 500),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("1.5GiB", 3 * 2**29),
        ("2k", 2000),
        ("1ti", 2**40),
    ],
)
def test_a_size_has_a_unit(text: str, count: int) -> None:
    assert arguments.size(text) == count


@pytest.mark.parametrize("text", ["", "-1", "x", "1XB", "1e3", "infGB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        arguments.size(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-30T12:00:00Z", NOW),
        ("2026-11-30T13:00:00+01:00", NOW),
        ("2026-11-30 12:00:00.000001Z", NOW + timedelta(microseconds=1)),
        ("10 minutes ago", NOW - timedelta(minutes=10)),
        ("1 hour ago", NOW - timedelta(hours=1)),
        ("90s ago", NOW - timedelta(seconds=90)),
        ("2 Weeks ago", NOW - timedelta(weeks=2)),
        ("0 days ago", NOW),
    ],
)
def test_a_time_is_absolute_or_relative(text: str, time: datetime) -> None:
    assert read_time(text, NOW) == time


def test_a_time_without_a_zone_is_local() -> None:
    assert read_time("2026-11-30") == datetime(2026, 11, 30).astimezone()
    assert read_time("2026-11-30T12:00") == datetime(2026, 11, 30, 12).astimezone()


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01", "minutes ago", "999999999 weeks ago"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        read_time(text)
