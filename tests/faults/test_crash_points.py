"""A server that is killed at each step of each act: what was acknowledged is there, the rest is
whole or absent, and the act tried again has happened once."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.collecting import age
from tests.faults.acts import ACTS, IN_FILES, prepare, prepare_garbage
from tests.faults.crashes import Crashes, Ground, Point, ends
from tests.faults.crashing_server import serve
from tests.faults.registries import Settings, place_of, registry_at
from tests.faults.state import state
from tests.places import memory
from tests.rounds import LONG, Tally


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if there is one: what a killed process wrote is there all the same."""
    with TemporaryDirectory(dir=memory() or tmp_path) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("crash") / "data"
    with registry_at(_settings(data)) as registry:
        prepare_garbage(registry)
    age(place_of(_settings(data)))
    with registry_at(_settings(data)) as registry:
        prepare(registry, IN_FILES)
    return data


@pytest.fixture
def ground(prepared: Path, place: Path) -> Ground:
    """A registry in a folder."""

    @contextmanager
    def copied() -> Iterator[Settings]:
        data = shutil.copytree(prepared, place / "data")
        yield _settings(data)
        shutil.rmtree(data)

    with copied() as settings, registry_at(settings) as registry:
        return Ground(copied, serve, state(registry), IN_FILES)


def _settings(data: Path) -> Settings:
    return {"data": str(data)}


def _points(names: Sequence[str]) -> list[Point]:
    """Choose steps, and at which side of each to die: all in the long round."""
    if LONG:
        return [(name, side) for name in names for side in ("before", "after")]
    # Between two steps nothing lasts, so one side of each says it all; and of many writes in a row
    # the first and the last do.
    return [(name, "before") for name in ends(names)] + [(names[-1], "after")]


@pytest.mark.rounds("crash-points")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ACTS)
def test_a_kill_at_any_step_leaves_an_act_whole_or_absent(
    ground: Ground, place: Path, tally: Tally, what: str
) -> None:
    Crashes(ground, place, tally).each(what, _points)
