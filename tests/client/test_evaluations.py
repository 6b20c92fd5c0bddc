"""What was measured of versions since they were made."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.client.conftest import Folder

from modelkeep import Client, InvalidArgumentError, NotFoundError, Version
from modelkeep import Input as In
from modelkeep.names import AssetName, Reference

ELSEWHERE = f"sha256:{'a' * 64}"


@pytest.fixture
def one(registry: Client, folder: Folder) -> Version:
    registry.push("rows", folder("rows", {"r": b"1"}), kind="dataset")
    return registry.push("churn", folder("one", {"m": b"1"}), aliases=["champion"])


def test_what_was_measured_is_kept(registry: Client, one: Version) -> None:
    then = datetime.now(UTC) - timedelta(hours=1)

    made = registry.evaluate(
        "churn@champion",
        {"loss": 0.2, "auc": 0.93},
        slices={"country=FR": {"auc": 0.9}},
        on="rows",
        measured=then,
        note="weekly",
    )

    assert (made.version, made.number) == (one.name, 1)
    assert list(made.metrics.items()) == [("auc", 0.93), ("loss", 0.2)]
    assert made.slices == {"country=FR": {"auc": 0.9}}
    assert made.data_set is not None
    assert made.data_set.version == "namespaces/default/assets/rows/versions/1"
    assert made.data_set.role == "evaluated-on"
    assert (made.measure_time, made.note, made.evaluator) == (then, "weekly", one.author)
    assert list(registry.evaluations(one)) == [made]
    assert made.to_dict()["data_set"]["digest"] == registry.version("rows").digest


def test_a_data_set_outside_has_a_digest(registry: Client, one: Version) -> None:
    made = registry.evaluate(one, {"auc": 1}, on=In(uri="s3://rows", digest=ELSEWHERE))

    assert made.data_set == In(uri="s3://rows", digest=ELSEWHERE, role="evaluated-on")


def test_those_of_an_asset_or_of_a_version_are_listed(
    registry: Client, one: Version, folder: Folder
) -> None:
    two = registry.push("churn", folder("two", {"m": b"2"}))
    for version in (one, two, one):
        registry.evaluate(version, {"auc": 0.5})

    def listed(of: object) -> list[tuple[int, int]]:
        found = registry.evaluations(of)  # type: ignore[arg-type]
        return [(int(each.version.rpartition("/")[2]), each.number) for each in found]

    every, of_one, of_two = [(2, 1), (1, 2), (1, 1)], [(1, 2), (1, 1)], [(2, 1)]
    for asset in ("churn", "default/churn", AssetName("default", "churn"), registry.asset("churn")):
        assert listed(asset) == every
    assert listed("namespaces/default/assets/churn") == every
    for ref in ("churn:1", "churn@champion", one, one.name, Reference("default", "churn", 1)):
        assert listed(ref) == of_one
    for ref in ("churn@latest", two, Reference("default", "churn")):
        assert listed(ref) == of_two


def test_pages_are_fetched_as_one_goes(registry: Client, one: Version) -> None:
    for _ in range(130):
        registry.evaluate(one, {"auc": 0.5})

    assert [each.number for each in registry.evaluations(one)] == list(range(130, 0, -1))


def test_history_tells_of_it(registry: Client, one: Version) -> None:
    made = registry.evaluate(one, {"auc": 0.5})

    event = next(iter(registry.history(one)))

    assert event.act == "evaluation.created"
    assert event.changes[0].after == made.to_dict()


def test_what_is_wrong_is_refused(registry: Client, one: Version) -> None:
    with pytest.raises(InvalidArgumentError, match="an evaluation has metrics"):
        registry.evaluate(one)
    with pytest.raises(InvalidArgumentError) as refused:
        registry.evaluate(one, {"auc": float("inf")})
    assert refused.value.reason == "METRIC_NOT_FINITE"
    with pytest.raises(NotFoundError):
        registry.evaluate("churn:9", {"auc": 1})
