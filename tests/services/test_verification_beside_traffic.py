"""What others do while a server checks itself is no finding."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.checking import checked, found
from tests.collecting import age, collect, purge
from tests.running import RunningServer, of_database, run_server
from tests.services.wire import Registry

from modelkeep_server.blobs import LocalFiles
from modelkeep_server.domain import verification, verify_manifests
from modelkeep_server.records import survey, survey_log, survey_versions


@pytest.fixture
def server(tmp_path: Path, database: str | None) -> Iterator[RunningServer]:
    with run_server(tmp_path / "data", **of_database(database)) as running:
        yield running
        assert [line for line in running.log() if line["level"] == "error"] == []


@pytest.fixture
def r(server: RunningServer) -> Iterator[Registry]:
    with grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, "default")


@pytest.fixture
def collected(r: Registry, server: RunningServer) -> Callable[[], None]:
    """A version whose bytes are collected when this is called first."""
    r.create(files={"own": b"own", "more": b"more"})
    r.create("kept", files={"kept": b"kept"})
    done: list[int] = []

    def collect_once() -> None:
        if not done:
            purge(r, 1)
            age(server)
            done.append(collect(r).deleted_blobs)
            assert done == [3]

    return collect_once


def _then(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, do: Callable[[], None]
) -> list[Any]:
    """Have something done whenever a function has answered; gives what it was called with."""
    really, calls = getattr(module, name), []

    def also(*given: Any) -> Any:
        calls.append(given)
        answer = really(*given)
        do()
        return answer

    monkeypatch.setattr(module, name, also)
    return calls


def _old_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first listing of each shard be from before anything came."""
    really, asked = LocalFiles.published, set()

    def published(files: LocalFiles, shard: str) -> dict[str, int]:
        is_old = shard not in asked
        asked.add(shard)
        return {} if is_old else really(files, shard)

    monkeypatch.setattr(LocalFiles, "published", published)


def test_blobs_that_are_collected_after_their_rows_were_read(
    r: Registry, collected: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _then(monkeypatch, survey, "blobs_behind", collected)

    answer = checked(r)

    assert calls
    assert found(answer) == []


def test_blobs_that_came_after_the_listing(
    r: Registry, collected: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    _old_listings(monkeypatch)

    assert found(checked(r)) == []


def test_blobs_that_are_collected_while_they_are_looked_at_again(
    r: Registry, collected: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    _old_listings(monkeypatch)
    calls = _then(monkeypatch, survey, "still", collected)

    answer = checked(r)

    assert calls
    assert found(answer) == []


def test_manifests_that_are_collected_while_they_are_read(
    r: Registry, collected: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _then(monkeypatch, verify_manifests, "read_checked", collected)

    answer = checked(r)

    assert calls
    assert found(answer) == []


def test_versions_that_come_while_their_asset_is_looked_at(
    r: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    r.create()
    calls = _then(monkeypatch, survey_versions, "versions", lambda: _add(r))

    answer = checked(r)

    assert calls
    assert found(answer) == []
    assert answer.checked.versions < len(r.numbers())


def test_changes_that_come_when_rows_are_held_against_the_log(
    r: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    r.create()
    calls = _then(monkeypatch, survey_log, "logged", lambda: _add(r))

    answer = checked(r)

    assert calls
    assert found(answer) == []
    assert answer.checked.events < len(r.acts())


def _add(r: Registry) -> None:
    r.create()


def test_events_that_come_while_the_log_is_read(
    r: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    r.create()
    really, pages = verification._is_read, []

    def is_read(*given: Any) -> bool:
        is_over = really(*given)
        pages.append(is_over)
        if is_over or len(pages) < 10:
            r.set_alias(f"alias{len(pages)}", 1)
        return is_over

    monkeypatch.setattr(verification, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(verification, "_is_read", is_read)

    answer = checked(r)

    assert found(answer) == []
    assert answer.checked.events == len(r.acts()) == len(pages)
    assert pages[-1]
