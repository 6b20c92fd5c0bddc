"""What the registry answers can be kept, compared, sent elsewhere and written as JSON."""

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest

import modelkeep
from modelkeep._handle import to_json

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VERSION = modelkeep.Version(
    name="namespaces/fraud/assets/churn/versions/7",
    number=7,
    digest="sha256:00",
    stage="production",
    aliases=("champion",),
    params={"depth": 6},
    metrics={"auc": 0.93},
    labels={"team": "fraud"},
    display_name="",
    description="",
    change_note="",
    author="principals/x",
    create_time=TIME,
    update_time=TIME.replace(microsecond=120),
    delete_time=None,
    purge_time=None,
    purged=False,
    file_count=1,
    size=5_000_000_000,
    inputs=(modelkeep.Input("namespaces/fraud/assets/data/versions/1", role="trained-on"),),
    flavor=modelkeep.Flavor("sklearn"),
    signature=modelkeep.Signature((modelkeep.Field("float64", "age", (-1,)),)),
    recipe_digest="",
    restored_from="",
    record_digest="sha256:11",
    etag="r1",
)


def test_a_version_is_json_in_snake_case() -> None:
    found = json.loads(json.dumps(VERSION.to_dict()))

    assert set(found) == {field.name for field in dataclasses.fields(VERSION)}
    assert found["stage"] == "production"
    assert found["aliases"] == ["champion"]
    assert found["create_time"] == "2026-01-02T03:04:05Z"
    assert found["update_time"] == "2026-01-02T03:04:05.000120Z"
    assert found["delete_time"] is None
    assert found["size"] == 5_000_000_000
    assert found["inputs"][0]["role"] == "trained-on"
    assert found["signature"]["inputs"][0]["shape"] == [-1]


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=30), "2592000s"),
        (timedelta(0), "0s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(days=3650), "315360000s"),
    ],
)
def test_spans_of_time_are_written_as_the_contract_does(span: timedelta, text: str) -> None:
    assert to_json(span) == text


def test_a_version_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        VERSION.number = 8  # type: ignore[misc]  # that's the point


def test_a_version_can_be_copied_pickled_compared_and_hashed() -> None:
    for other in (pickle.loads(pickle.dumps(VERSION)), copy.deepcopy(VERSION)):
        assert other == VERSION
        assert hash(other) == hash(VERSION)


def test_a_version_is_written_as_people_do() -> None:
    assert VERSION.reference == "fraud/churn:7"


def test_times_are_in_utc_wherever_they_come_from() -> None:
    elsewhere = TIME.astimezone().isoformat()

    assert to_json(datetime.fromisoformat(elsewhere)) == "2026-01-02T03:04:05Z"
