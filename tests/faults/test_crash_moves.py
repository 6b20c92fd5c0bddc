"""Backups, restores and moves that are killed at any step: nothing half passes for whole, nothing
of the source changes, and the same command goes on to the end."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.faults.crashing_move import run
from tests.faults.crashing_server import Plan
from tests.faults.forked import run_forked
from tests.faults.registries import Settings, check_sound, place_of, registry_at
from tests.faults.state import state
from tests.parts.postgres import Postgres, new_database
from tests.parts.s3 import ENVIRONMENT
from tests.raw import ask, tables
from tests.rounds import LONG, Tally, spread
from tests.services.wire import MIB

from modelkeep_server import moves, offline
from modelkeep_server.values.place import Place
from modelkeep_server.values.start import StartError

FILES = {"large": b"large" * MIB, "small": b"small", "empty": b""}
Making = Callable[[], Settings]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A stopped registry's folder, and what it answered."""
    data = tmp_path_factory.mktemp("crash-moves") / "data"
    with registry_at({"data": str(data)}) as registry:
        for number in range(3):
            registry.create("churn", FILES | {"n": bytes([number])}, aliases=["best"])
            registry.create(f"asset-{number}", {"n": bytes([number])})
        return data, state(registry)


@pytest.fixture(params=["sqlite", pytest.param("s3", marks=pytest.mark.faults)])
def make_target(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Making:
    """Makes new places to copy to, as settings: a folder, or Postgres and S3."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made: list[Settings] = []

    def make() -> Settings:
        settings = {"data": str(tmp_path / f"target-{len(made)}")}
        if request.param == "s3":
            postgres: Postgres = request.getfixturevalue("postgres_server")
            blobs = request.getfixturevalue("seaweed_blobs")()
            settings |= {"database": new_database(postgres.url()), "blobs": blobs}
        made.append(settings)
        return settings

    return make


@dataclass
class Trial:
    """A command that is killed at each of its steps."""

    tmp_path: Path
    tally: Tally

    def each(self, command: str, source: Any, make: Callable[[], Any]) -> Iterator[Any]:
        """Yield each target that a killed command left."""
        plan = self._plan(make())
        assert run_forked(self.tmp_path / "log", run, plan[0], command, source(), plan[1]) == 0
        names = plan[0].trace.read_text().splitlines()
        for number in range(len(names)) if LONG else spread(len(names), 10, 10):
            target = make()
            plan = self._plan(target, names[number])
            code = run_forked(self.tmp_path / "log", run, plan[0], command, source(), plan[1])
            assert code == -9, (names[number], (self.tmp_path / "log").read_text())
            print(f"a kill before {names[number]} of: {command}")  # noqa: T201  # shown where it fails
            self.tally.tried += 1
            with self.tally.counting_faults():
                yield target

    def _plan(self, target: Any, point: str = "") -> tuple[Plan, Any]:
        root = Path(target if isinstance(target, str) else target["data"])
        files = self.tmp_path / "armed", self.tmp_path / "trace"
        files[0].touch()
        files[1].write_text("")
        return Plan(root, *files, point), target if isinstance(target, str) else place_of(target)


@pytest.mark.rounds("crash-moves")
@pytest.mark.timeout(900)
def test_a_killed_backup_is_whole_or_absent_and_the_next_is_whole(
    lived: tuple[Path, list[Any]], tmp_path: Path, tally: Tally
) -> None:
    source = Place(lived[0])
    made: list[str] = []

    def make() -> str:
        made.append(str(tmp_path / f"backups-{len(made)}"))
        return made[-1]

    for where in Trial(tmp_path, tally).each("backup", lambda: source, make):
        if any(_points(where)):
            check_sound(offline.check_backup(where, True, Counter()))
        moves.backup(source, where, lambda _: None)
        check_sound(offline.check_backup(where, True, Counter()))
        check_sound(offline.check(source, False, Counter()))


@pytest.mark.rounds("crash-moves")
@pytest.mark.timeout(900)
def test_a_killed_restore_is_whole_or_not_served_and_goes_on(
    lived: tuple[Path, list[Any]], tmp_path: Path, tally: Tally, make_target: Making
) -> None:
    where = str(tmp_path / "backups")
    moves.backup(Place(lived[0]), where, lambda _: None)

    for target in Trial(tmp_path, tally).each("restore", lambda: where, make_target):
        # Killed at its very end it is done, though it had not said so.
        if _is_served(target):
            _check_restored(target, lived[1])
        moves.restore(where, place_of(target), lambda _: None)
        check_sound(offline.check(place_of(target), True, Counter()))
        _check_restored(target, lived[1])


@pytest.mark.rounds("crash-moves")
@pytest.mark.timeout(900)
def test_a_killed_move_is_served_at_one_place_at_most_and_goes_on(
    lived: tuple[Path, list[Any]], tmp_path: Path, tally: Tally, make_target: Making
) -> None:
    def source() -> Place:
        shutil.rmtree(tmp_path / "source", ignore_errors=True)
        return Place(Path(shutil.copytree(lived[0], tmp_path / "source")))

    for target in Trial(tmp_path, tally).each("move", source, make_target):
        here = {"data": str(tmp_path / "source")}
        assert not (_is_served(target) and _is_served(here))
        moves.move(place_of(here), place_of(target), lambda _: None)
        assert not _is_served(here)
        check_sound(offline.check(place_of(target), True, Counter()))
        with registry_at(target) as registry:
            assert state(registry) == lived[1]


def _check_restored(settings: Settings, before: list[Any]) -> None:
    """Hold a registry to what was backed up, and one event more."""
    with registry_at(settings) as registry:
        found = state(registry)
    new = [one for one in found if one not in before]
    assert [one["record"]["act"] for one in new] == ["log.restored"]
    assert len(found) == len(before) + 1


def _points(where: str) -> list[Path]:
    return [path for path in Path(where).glob("backups/*") if path.name != "partial"]


def _is_served(settings: Settings) -> bool:
    """Tell whether a server starts there, once something is there: else it would make that."""
    if not _is_begun(place_of(settings)):
        return False
    try:
        with registry_at(settings):
            return True
    except StartError:
        return False


def _is_begun(place: Place) -> bool:
    if place.database is None and not (place.data / "modelkeep.db").exists():
        return False
    return "setting" in tables(place) and ask(place, "SELECT key FROM setting") != []
