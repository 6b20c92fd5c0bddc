"""A check that takes long stays with its server, and goes on at another where that one died."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.checking import begin_check, checked, outcome, so_far
from tests.parts.postgres import Postgres, new_database
from tests.raw import ask
from tests.running import RunningServer, of_database, run_server
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import Registry
from tests.waiting import until

from modelkeep.v1.admin_service_pb2 import VerifyRegistryResponse
from modelkeep.v1.operation_service_pb2 import GetOperationRequest
from modelkeep_server import blobs
from modelkeep_server.domain import verification, verify_blobs
from modelkeep_server.records import operations, survey
from modelkeep_server.records.sql import Session
from modelkeep_server.values.stored_blob import StoredBlob

SLOW_CHECKER = ("-m", "tests.replicas.slow_checker")
MANY = {f"{number:02}": f"content {number}".encode() for number in range(60)}


@contextmanager
def _slow(data: Path, database: str | None) -> Iterator[tuple[ServerProcess, Registry]]:
    """A slow server with blobs and events."""
    options = () if database is None else ("--database", database)
    with (
        serving(data, *options, program=SLOW_CHECKER) as slow,
        registry_of(slow) as r,
    ):
        r.create(files=MANY)
        for number in range(60):
            r.set_alias(f"alias{number}", 1)
        yield slow, r


def _gone_on(data: Path, database: str | None, name: str) -> VerifyRegistryResponse:
    """Start another server, and tell what came of a check, once it came to as much as it should."""
    with (
        run_server(data, **of_database(database)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        r = Registry(channel, "default")
        answer = outcome(r, r.operations.GetOperation(GetOperationRequest(name=name)))
        assert answer == checked(r)
    return answer


def test_another_server_goes_on_with_the_blobs(
    tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up_behind = []
    really = survey.blobs_behind

    def behind(session: Session, after: str | None, limit: int) -> list[StoredBlob]:
        looked_up_behind.append(after)
        return really(session, after, limit)

    with _slow(tmp_path / "data", database) as (slow, there):
        asked = begin_check(there)
        until(lambda: so_far(there, asked).blobs > 20)
        slow.kill()
    monkeypatch.setattr(survey, "blobs_behind", behind)

    answer = _gone_on(tmp_path / "data", database, asked.name)

    assert (answer.finding_count, answer.checked.blobs) == (0, 61)
    assert looked_up_behind[0] is not None


def test_another_server_begins_the_log_again(tmp_path: Path, database: str | None) -> None:
    with _slow(tmp_path / "data", database) as (slow, there):
        asked = begin_check(there)
        until(lambda: so_far(there, asked).events > 20)
        seen = so_far(there, asked)
        slow.kill()

    answer = _gone_on(tmp_path / "data", database, asked.name)

    assert (answer.finding_count, answer.checked.blobs) == (0, seen.blobs)
    assert answer.checked.events > 60


def test_a_server_that_is_stopped_gives_it_back_at_once(
    tmp_path: Path, database: str | None
) -> None:
    with _slow(tmp_path / "data", database) as (slow, there):
        asked = begin_check(there)
        until(lambda: so_far(there, asked).events > 5)
        begun = time.monotonic()
        slow.stop()
        assert time.monotonic() - begun < 5

    assert _gone_on(tmp_path / "data", database, asked.name).finding_count == 0


@pytest.fixture
def two(tmp_path: Path, postgres_server: Postgres) -> Iterator[tuple[RunningServer, Registry]]:
    """A registry with two servers, at one of which it is spoken to."""
    url = new_database(postgres_server.url())
    with (
        run_server(tmp_path / "data", database=url) as server,
        run_server(tmp_path / "data", database=url),
        grpc.insecure_channel(server.address) as channel,
    ):
        yield server, Registry(channel, "default")


def test_a_step_may_take_longer_than_a_lease_lasts(
    two: tuple[RunningServer, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, r = two
    monkeypatch.setattr(operations, "LEASE_US", 600_000)
    monkeypatch.setattr("modelkeep_server.domain.operations.POLL_SECONDS", 0.1)
    really = blobs.read_checked
    r.create()

    def slowly(*given: Any) -> Iterator[bytes]:
        time.sleep(1.5)
        yield from really(*given)

    monkeypatch.setattr(verify_blobs, "read_checked", slowly)

    assert outcome(r, begin_check(r)).finding_count == 0

    assert ask(server, "SELECT fence FROM operation") == [(1,)]


def test_what_is_under_way_in_a_step_is_seen(
    two: tuple[RunningServer, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, r = two
    monkeypatch.setattr("modelkeep_server.domain.turns.RENEW_SECONDS", 0.1)
    monkeypatch.setattr(verification, "STEP_SECONDS", 3600)
    really = blobs.read_checked
    r.create(files=MANY)
    seen: list[bool] = []

    def watched(*given: Any) -> Iterator[bytes]:
        if so_far(r, asked).blobs > 2:
            seen.append(True)
        else:
            time.sleep(0.2)
        yield from really(*given)

    monkeypatch.setattr(verify_blobs, "read_checked", watched)

    asked = begin_check(r)

    assert outcome(r, asked).checked.blobs == 61
    assert seen
