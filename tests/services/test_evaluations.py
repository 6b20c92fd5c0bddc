"""Evaluations: what was measured of versions, kept for good."""

import math
import time
import uuid
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.services.wire import Registry, refused

from modelkeep.v1 import asset_pb2, asset_service_pb2, evaluation_pb2, version_pb2
from modelkeep.v1 import event_service_pb2 as events
from modelkeep.v1 import monitoring_service_pb2 as pb

ELSEWHERE = f"sha256:{'a' * 64}"


def _listed(r: Registry, parent: str) -> list[str]:
    answer = r.monitoring.ListEvaluations(pb.ListEvaluationsRequest(parent=parent))
    return ["/".join(one.name.split("/")[-3::2]) for one in answer.evaluations]


def _slice(name: str, **metrics: float) -> evaluation_pb2.EvaluationSlice:
    return evaluation_pb2.EvaluationSlice(name=name, metrics=metrics)


def test_an_evaluation_says_what_was_measured_on_what_by_whom_and_when(registry: Registry) -> None:
    registry.create("rows", {"rows.csv": b"1,2\n"}, kind=asset_pb2.ASSET_KIND_DATASET)
    registry.create()
    rows = registry.get(1, "rows")
    then = Timestamp(seconds=int(time.time()) - 3600)

    made = registry.evaluate(
        metrics={"auc": 0.93, "loss": 0.2},
        slices=[_slice("country=FR", auc=0.9), _slice("country=DE", auc=0.95)],
        data_set=version_pb2.Input(version=rows.name),
        measure_time=then,
        note="weekly",
    )

    assert made.name == f"{registry.version(1)}/evaluations/1"
    assert made.number == 1
    assert dict(made.metrics) == {"auc": 0.93, "loss": 0.2}
    assert [(one.name, dict(one.metrics)) for one in made.slices] == [
        ("country=FR", {"auc": 0.9}),
        ("country=DE", {"auc": 0.95}),
    ]
    assert made.data_set == version_pb2.Input(
        version=rows.name,
        digest=rows.record.digest,
        role=version_pb2.INPUT_ROLE_EVALUATED_ON,
    )
    assert made.measure_time == then
    assert (made.note, made.evaluator) == ("weekly", registry.get(1).record.author)
    assert made.create_time.seconds >= then.seconds + 3600
    got = registry.monitoring.GetEvaluation(pb.GetEvaluationRequest(name=made.name))
    assert got == made


def test_they_are_numbered_in_their_version_and_listed_the_newest_first(
    registry: Registry,
) -> None:
    for _ in range(2):
        registry.create()
    for number in (1, 2, 1, 1, 2):
        registry.evaluate(number, metrics={"auc": 0.5})

    assert _listed(registry, registry.version(1)) == ["1/3", "1/2", "1/1"]
    assert _listed(registry, registry.asset()) == ["2/2", "2/1", "1/3", "1/2", "1/1"]


def test_what_is_not_said_is_filled_in(registry: Registry) -> None:
    registry.create()

    made = registry.evaluate(slices=[_slice("all", auc=1.0)])

    assert made.measure_time == made.create_time
    assert not made.HasField("data_set")
    assert not made.metrics


def test_a_data_set_may_be_outside(registry: Registry) -> None:
    registry.create()
    outside = version_pb2.Input(uri="s3://somewhere/rows", digest=ELSEWHERE)

    made = registry.evaluate(metrics={"auc": 0.5}, data_set=outside)

    assert (made.data_set.uri, made.data_set.digest) == ("s3://somewhere/rows", ELSEWHERE)
    assert made.data_set.role == version_pb2.INPUT_ROLE_EVALUATED_ON


def test_an_evaluation_is_on_the_log(registry: Registry) -> None:
    registry.create()
    made = registry.evaluate(metrics={"auc": 0.5})

    request = events.ListEventsRequest(resource=registry.version(1), page_size=1)
    (event,) = registry.events.ListEvents(request).events

    assert event.record.act == "evaluation.created"
    assert event.record.principal == made.evaluator
    (change,) = event.record.changes
    assert (change.resource, change.revision) == (made.name, 1)
    assert evaluation_pb2.Evaluation.FromString(event.bodies[0].after.value) == made


def test_a_repeat_has_the_first_answer_and_no_effect(registry: Registry) -> None:
    registry.create()
    request_id = str(uuid.uuid4())

    first = registry.evaluate(metrics={"auc": 0.5}, request_id=request_id)

    assert registry.evaluate(metrics={"auc": 0.5}, request_id=request_id) == first
    assert _listed(registry, registry.version(1)) == ["1/1"]


def test_they_stay_when_the_version_is_deleted_and_no_more_come(registry: Registry) -> None:
    registry.create()
    made = registry.evaluate(metrics={"auc": 0.5})
    registry.delete(1)

    with refused("FAILED_PRECONDITION", "VERSION_DELETED"):
        registry.evaluate(metrics={"auc": 0.5})
    assert _listed(registry, registry.version(1)) == ["1/1"]
    assert registry.monitoring.GetEvaluation(pb.GetEvaluationRequest(name=made.name)) == made


def test_a_data_set_is_not_held(registry: Registry) -> None:
    registry.create("rows", kind=asset_pb2.ASSET_KIND_DATASET)
    registry.create()
    rows = version_pb2.Input(version=registry.version(1, "rows"))
    registry.evaluate(metrics={"auc": 0.5}, data_set=rows)

    registry.delete(1, "rows")

    with refused("FAILED_PRECONDITION", "VERSION_DELETED", "evaluation.data_set.version"):
        registry.evaluate(metrics={"auc": 0.5}, data_set=rows)
    assert _listed(registry, registry.version(1)) == ["1/1"]


def test_those_of_a_deleted_asset_can_not_be_had(registry: Registry) -> None:
    registry.create()
    made = registry.evaluate(metrics={"auc": 0.5})
    registry.assets.DeleteAsset(asset_service_pb2.DeleteAssetRequest(name=registry.asset()))

    with refused("FAILED_PRECONDITION", "ASSET_DELETED"):
        registry.monitoring.GetEvaluation(pb.GetEvaluationRequest(name=made.name))
    with refused("FAILED_PRECONDITION", "ASSET_DELETED"):
        _listed(registry, registry.asset())
    with refused("FAILED_PRECONDITION", "ASSET_DELETED"):
        registry.evaluate(metrics={"auc": 0.5})


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({}, "FIELD_REQUIRED", "evaluation"),
        ({"note": "nothing measured"}, "FIELD_REQUIRED", "evaluation.metrics"),
        ({"metrics": {"auc": math.nan}}, "METRIC_NOT_FINITE", "evaluation.metrics[auc]"),
        ({"metrics": {"a b": 1.0}}, "KEY_INVALID", "evaluation.metrics"),
        ({"metrics": {f"m{n}": 1.0 for n in range(257)}}, "TOO_MANY_ITEMS", "evaluation.metrics"),
        ({"slices": [_slice("a", auc=math.inf)]}, "METRIC_NOT_FINITE", "evaluation.slices[0]."),
        ({"slices": [_slice("", auc=1)]}, "FIELD_REQUIRED", "evaluation.slices[0].name"),
        ({"slices": [_slice("a")]}, "FIELD_REQUIRED", "evaluation.slices[0].metrics"),
        (
            {"slices": [_slice("a", auc=1), _slice("b", auc=1), _slice("a", auc=2)]},
            "FIELD_INVALID",
            "evaluation.slices[2].name",
        ),
        ({"metrics": {"auc": 1}, "note": "x" * 8193}, "FIELD_TOO_LONG", "evaluation.note"),
        (
            {"metrics": {"auc": 1}, "measure_time": Timestamp(seconds=2**33)},
            "TIME_IN_FUTURE",
            "evaluation.measure_time",
        ),
        (
            {"metrics": {"auc": 1}, "data_set": version_pb2.Input(uri="s3://x")},
            "FIELD_REQUIRED",
            "evaluation.data_set",
        ),
        (
            {
                "slices": [
                    _slice(f"{n}", **{f"metric-{m}": 1.0 for m in range(200)}) for n in range(100)
                ]
            },
            "FIELD_TOO_LONG",
            "evaluation",
        ),
    ],
    ids=str,
)
def test_what_is_no_evaluation_is_refused(
    registry: Registry, fields: dict[str, Any], reason: str, field: str
) -> None:
    registry.create()

    with refused("INVALID_ARGUMENT", reason) as refusal:
        registry.evaluate(**fields)

    assert refusal.fields[0].startswith(field)
    assert _listed(registry, registry.asset()) == []


def test_what_is_not_there_is_not_found(registry: Registry) -> None:
    registry.create()

    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.evaluate(2, metrics={"auc": 1})
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.evaluate(1, "another", metrics={"auc": 1})
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        _listed(registry, registry.version(2))
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        _listed(registry, registry.asset("another"))
    name = f"{registry.version(1)}/evaluations/1"
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND") as refusal:
        registry.monitoring.GetEvaluation(pb.GetEvaluationRequest(name=name))
    assert refusal.metadata == {"resource": name}
    for wrong in ("", "events/1", registry.version(1), f"{registry.version('@x')}/evaluations/1"):
        with refused("INVALID_ARGUMENT", "NAME_INVALID" if wrong else "FIELD_REQUIRED", "name"):
            registry.monitoring.GetEvaluation(pb.GetEvaluationRequest(name=wrong))
    for wrong in ("namespaces/default", registry.version("@production")):
        with refused("INVALID_ARGUMENT", "NAME_INVALID", "parent"):
            _listed(registry, wrong)
