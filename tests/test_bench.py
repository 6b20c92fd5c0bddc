"""The bench measures modelkeep as it is: a folder that it filled is like any other."""

import math
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from bench import beside, fill, growth, report, servers
from bench.__main__ import chosen
from bench.scene import Scene
from bench.wire import Work
from tests.verified import verify

from modelkeep.v1 import version_service_pb2 as pb


def test_a_folder_that_was_filled_is_whole_and_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with servers.modelkeep(data) as server, Work(server.address) as work:
        request = work.create_small("many")

    fill.fill(data, request, 200)

    code, report = verify(data)
    assert code == 0, report
    with servers.modelkeep(data) as server, Work(server.address) as work:
        name = f"{request.parent}/versions/latest"
        assert work.versions.GetVersion(pb.GetVersionRequest(name=name)).number == 201
        assert work.versions.CreateVersion(request).number == 202


def test_a_result_names_the_modelkeep_that_was_measured() -> None:
    versions = report.contents([], quick=True)["versions"]

    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert versions["modelkeep"] == version("modelkeep")
    assert versions["commit"].removesuffix("-dirty") == head.stdout.strip()


@pytest.mark.parametrize("power", [0, 0.12, 1, 2])
def test_growth_is_the_power_of_the_number_that_the_cost_follows(power: float) -> None:
    sizes = [1_000, 100_000, 1_000_000]

    costs = [0.003 * size**power for size in sizes]

    x = growth.slope([math.log(size) for size in sizes], [math.log(cost) for cost in costs])
    assert x == pytest.approx(power)


@pytest.mark.parametrize("uv", ["/no/uv", "/bin/false"])
def test_a_row_that_cannot_be_measured_says_why_and_is_missed(
    uv: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV", uv)

    with Scene(quick=True) as scene:
        row = next(row for row in beside.rows(scene) if "upload 200 files" in row.what)
        row.measure(0)

    assert row.missed
    (told,) = report.contents([row], quick=True)["rows"]
    assert "MLflow" in told["why_not"]
    assert (told["result"], told["figures"], told["bases"]) == (None, [], [])


def test_a_short_run_is_beside_mlflow_only_when_asked_to() -> None:
    with Scene(quick=True) as scene:
        short = {row.what for row in chosen(scene, [])}
        named = {row.what for row in chosen(scene, ["mlflow"])}
    with Scene(quick=False) as scene:
        full = {row.what for row in chosen(scene, [])}

    assert not any("mlflow" in what for what in short)
    assert len(named) == len({what for what in full if "mlflow" in what}) == 16
