"""The dashboard and the alerts ask for what a server really tells Prometheus."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.services.processes import serving
from tests.services.wire import Registry
from tests.test_architecture import REASONS, _rpcs

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/modelkeep.json").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = DASHBOARD["panels"]
COLUMNS = 24

# Grafana puts them in before it asks.
VARIABLES = {"$__rate_interval": "5m", "$job": "modelkeep", "$instance": ".*"}
# Of the one who asks, and not of the server.
ASKERS = {"job", "instance"}
# Made by Prometheus itself.
SYNTHETIC = {"up": ASKERS}


def expressions() -> Iterator[str]:
    """Give every query of the dashboard and of the alerts."""
    found = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    found += [annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]]
    for expression in found:
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        yield expression
    yield from (rule["expr"] for rule in RULES)


def nodes(node: Any) -> Iterator[Any]:
    """Walk a parsed query."""
    yield node
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        if (child := getattr(node, name, None)) is not None:
            yield from nodes(child)
    for child in getattr(node, "args", None) or []:
        yield from nodes(child)


def of_type(kind: type[T]) -> Iterator[T]:
    for expression in expressions():
        for node in nodes(promql.parse(expression)):
            if isinstance(node, kind):
                yield node


def matchers() -> Iterator[tuple[str, str]]:
    for selector in of_type(promql.VectorSelector):
        for matcher in selector.matchers.matchers:
            yield matcher.name, matcher.value


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each metric of a server that was called, and refused a call."""
    data = tmp_path_factory.mktemp("monitored") / "data"
    with serving(data, "--metrics-listen", "127.0.0.1:0") as server:
        with grpc.insecure_channel(server.address) as channel:
            registry = Registry(channel)
            registry.create(files={"model.bin": b"weights"})
            with pytest.raises(grpc.RpcError):
                registry.create(files={})
        metrics = json.loads(server.log().splitlines()[0])["metrics"]
        with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
            text = answer.read().decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_query_asks_for_metrics_that_a_server_has(served: dict[str, set[str]]) -> None:
    asked = {selector.name for selector in of_type(promql.VectorSelector)}

    assert len(asked) > 10
    assert asked - served.keys() - SYNTHETIC.keys() == set()


def test_every_query_asks_for_labels_that_the_metric_has(served: dict[str, set[str]]) -> None:
    known = served | SYNTHETIC
    wrong = [
        f"{selector.name}{{{matcher.name}}}"
        for selector in of_type(promql.VectorSelector)
        for matcher in selector.matchers.matchers
        if matcher.name not in known[selector.name or ""] | ASKERS
    ]
    assert wrong == []

    for aggregate in of_type(promql.AggregateExpr):
        inner = [n for n in nodes(aggregate.expr) if isinstance(n, promql.VectorSelector)]
        kept = set(aggregate.modifier.labels if aggregate.modifier else ())
        for selector in inner:
            assert kept <= known[selector.name or ""] | ASKERS, aggregate.prettify()


def test_codes_and_reasons_in_queries_are_the_contracts() -> None:
    codes = {code.name for code in grpc.StatusCode}
    asked = {code for name, value in matchers() if name == "code" for code in value.split("|")}
    reasons = {value for name, value in matchers() if name == "reason"}

    assert asked
    assert asked - codes == set()
    assert reasons
    assert reasons - REASONS == set()


def test_the_streams_that_queries_name_are_the_contracts() -> None:
    streams = {method.name for method in _rpcs() if method.server_streaming}
    lists = [re.search(r"/\(([\w|]+)\)", value) for name, value in matchers() if name == "method"]

    named = [set(found[1].split("|")) for found in lists if found]
    assert len(named) > 3
    assert all(names == streams for names in named)


def test_the_dashboard_has_the_shape_that_grafana_takes() -> None:
    assert DASHBOARD["uid"] == "modelkeep"
    assert DASHBOARD["title"]
    assert isinstance(DASHBOARD["schemaVersion"], int)
    assert "id" not in DASHBOARD  # of one Grafana alone
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["title"]
        assert panel["type"] in {"row", "stat", "timeseries"}
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_the_dashboards_variables_are_declared_before_they_are_used() -> None:
    declared = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert declared == ["datasource", "job", "instance"]

    text = json.dumps(DASHBOARD)
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__all"}
    assert used == set(declared)


def test_no_two_panels_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


def test_every_alert_says_how_bad_it_is_and_is_documented() -> None:
    page = (ROOT / "docs/operations/monitoring.md").read_text()

    assert len(RULES) > 5
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert f"`{rule['alert']}`" in page


def test_every_alert_is_seen_to_fire_and_to_wait() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yaml").read_text())["tests"]
    steps = [step for test in tests for step in test["alert_rule_test"]]

    alerts = {rule["alert"] for rule in RULES}
    assert {step["alertname"] for step in steps if step.get("exp_alerts")} == alerts
    assert {step["alertname"] for step in steps if not step.get("exp_alerts")} == alerts


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool on PATH")
@pytest.mark.parametrize("command", [("check", "alerts.yaml"), ("test", "alerts_test.yaml")])
def test_prometheus_takes_the_alerts_and_fires_them_as_told(command: tuple[str, str]) -> None:
    verb, file = command
    done = subprocess.run(
        ["promtool", verb, "rules", file], capture_output=True, text=True, cwd=PROMETHEUS
    )

    assert done.returncode == 0, done.stdout + done.stderr
