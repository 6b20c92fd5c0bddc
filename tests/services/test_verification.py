"""A server checks itself: it finds what is damaged, nothing else, and holds nobody up."""

import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning.operations_pb2 import Operation
from google.rpc.code_pb2 import Code
from tests.checking import begin_check, checked, found, outcome
from tests.collecting import age, begin, files, purge
from tests.raw import ask
from tests.running import RunningServer, of_database, run_server
from tests.services.wire import MIB, Registry, digest, refused
from tests.verify.life import (
    ASSET,
    WEIGHTS,
    blob_file,
    change_versions,
    is_version,
    leave_a_part,
    make_versions,
)
from tests.waiting import until

from modelkeep.v1.operation_service_pb2 import CancelOperationRequest, GetOperationRequest
from modelkeep_server import offline
from modelkeep_server.domain import verification, verify_blobs
from modelkeep_server.records.postgres_survey import PostgresSurvey
from modelkeep_server.records.sqlite_survey import SqliteSurvey
from modelkeep_server.values.place import Place


@pytest.fixture
def server(tmp_path: Path, database: str | None) -> Iterator[RunningServer]:
    """A server that meets nothing which should not happen."""
    with run_server(tmp_path / "data", **of_database(database)) as running:
        yield running
        assert [line for line in running.log() if line["level"] == "error"] == []


@pytest.fixture
def r(server: RunningServer) -> Iterator[Registry]:
    with grpc.insecure_channel(server.address) as channel:
        yield Registry(channel, "default")


@pytest.fixture
def busy(r: Registry) -> Registry:
    """A registry with a bit of everything."""
    make_versions(r)
    change_versions(r)
    leave_a_part(r)
    return r


def test_a_registry_is_whole_and_as_much_is_looked_at_as_when_it_is_stopped(
    busy: Registry, server: RunningServer, tmp_path: Path
) -> None:
    answer = checked(busy)

    copied = Path(shutil.copytree(server.data, tmp_path / "copy"))
    counted: Counter[str] = Counter()
    assert list(offline.check(Place(copied, server.database), True, counted)) == []
    assert (answer.finding_count, found(answer)) == (0, [])
    assert {field.name: n for field, n in answer.checked.ListFields()} == offline.counts(counted)
    assert answer.checked.bytes_read > len(WEIGHTS)


def test_steps_of_a_row_each_come_to_the_same(
    busy: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = checked(busy)
    monkeypatch.setattr(verification, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(verification, "LOOKED_AT", 2)

    assert checked(busy) == whole


def test_all_shares_together_look_at_everything_once(busy: Registry) -> None:
    whole = checked(busy)

    shares = [checked(busy, subset=f"{number}/3") for number in (1, 2, 3)]

    for kind in ("assets", "versions", "manifests", "blobs", "bytes_read"):
        counts = [getattr(share.checked, kind) for share in shares]
        assert sum(counts) == getattr(whole.checked, kind), kind
    assert [share.subset for share in shares] == ["1/3", "2/3", "3/3"]
    assert {share.checked.events for share in shares} == {whole.checked.events}


@pytest.mark.parametrize("subset", ["0/1", "2/1", "1/257", "1", "a/b", "1/1/1"])
def test_a_share_that_is_none(r: Registry, subset: str) -> None:
    with refused("INVALID_ARGUMENT", "FIELD_INVALID", "subset"):
        begin_check(r, subset=subset)


def test_a_missing_file(busy: Registry, server: RunningServer) -> None:
    path = blob_file(server.data, WEIGHTS)
    path.unlink()

    for read_data in (False, True):
        text = f"its file {path.relative_to(server.data)} is missing"
        assert found(checked(busy, read_data=read_data)) == [("blob", digest(WEIGHTS), text)]


def test_a_flipped_bit_is_found_when_bytes_are_read(busy: Registry, server: RunningServer) -> None:
    path = blob_file(server.data, WEIGHTS)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(MIB + 5)
        file.write(bytes([WEIGHTS[MIB + 5] ^ 1]))

    assert checked(busy, read_data=False).finding_count == 0
    ((what, resource, text),) = found(checked(busy))
    assert (what, resource) == ("blob", digest(WEIGHTS))
    assert f"is wrong in the block at byte {MIB}" in text


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        (
            f"UPDATE version SET stage = 3 WHERE {is_version(1)}",
            ("version", f"{ASSET}/versions/1", "its message has another stage than its row"),
        ),
        (
            f"UPDATE version SET base = tail WHERE {is_version(2)}",
            ("version", f"{ASSET}/versions/2", "is not what events/"),
        ),
        (
            "UPDATE manifest SET size = size + 1",
            ("manifest", "sha256:", "its files have "),
        ),
        (
            f"UPDATE asset SET next_number = 100 WHERE resource = '{ASSET}'",
            ("asset", ASSET, "the next number is 100 in its row, and 7 by its versions"),
        ),
        (
            "UPDATE namespace SET folded = 'other'",
            ("namespace", "namespaces/default", "its message"),
        ),
        ("UPDATE event SET log_us = 5 WHERE position = 4", ("event", "events/4", "is older than")),
        ("DELETE FROM event_body WHERE position = 5", ("event", "events/5", "and 0 bodies")),
        (
            "UPDATE alias_move SET log_us = log_us + 1",
            ("history", f"{ASSET}/aliases/", "a move has no event of its time"),
        ),
    ],
)
def test_an_edited_row(
    busy: Registry, server: RunningServer, sql: str, finding: tuple[str, str, str]
) -> None:
    ask(server, sql)

    answer = checked(busy, read_data=False)

    assert any(
        one[0] == finding[0] and one[1].startswith(finding[1]) and finding[2] in one[2]
        for one in found(answer)
    ), found(answer)


def test_of_much_damage_a_bounded_part_is_told(busy: Registry, server: RunningServer) -> None:
    for number in range(150):
        (server.data / "staging" / f"stranger-{number:03}\n\udcff".ljust(200, "x")).touch()
    before = checked(busy, subset="1/2")

    assert (before.finding_count, len(before.findings), before.findings_left_out) == (150, 100, 50)
    what, resource, _ = found(before)[0]
    assert what == "stranger"
    assert resource.startswith("staging/stranger-000\n\\udcffx")


def test_who_asks_twice_has_one_check_and_it_is_not_on_the_log(r: Registry) -> None:
    r.create()
    acts, request_id = r.acts(), str(uuid.uuid4())

    first = begin_check(r, request_id=request_id)

    assert begin_check(r, request_id=request_id).name == first.name
    with refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED"):
        begin_check(r, read_data=False, request_id=request_id)
    assert outcome(r, first).finding_count == 0
    assert r.acts() == acts


class Held:
    """Lets nobody through a function until told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()
        really = getattr(module, name)

        def held(*given: Any) -> Any:
            for block in really(*given):
                self.reached.set()
                while not self.go.wait(0.01):
                    yield block
                yield block

        monkeypatch.setattr(module, name, held)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Reading any blob does not come to its end."""
    held = Held(monkeypatch, verify_blobs, "read_checked")
    yield held
    held.go.set()


def test_what_takes_long_is_cancelled_in_the_middle(r: Registry, endless: Held) -> None:
    r.create()
    asked = begin_check(r)
    assert endless.reached.wait(30)

    r.operations.CancelOperation(CancelOperationRequest(name=asked.name))

    until(lambda: _now(r, asked).done, seconds=15)
    assert _now(r, asked).error.code == Code.CANCELLED


_LONG = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


def test_a_query_that_takes_long_is_broken_off(
    r: Registry, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = threading.Event()

    def problems(session: SqliteSurvey | PostgresSurvey) -> Iterator[str]:
        reached.set()
        if isinstance(session, PostgresSurvey):
            session.execute("SELECT pg_sleep(600)")
        else:
            session.connection.execute(_LONG)
        yield "it came to its end"

    monkeypatch.setattr(PostgresSurvey if server.database else SqliteSurvey, "problems", problems)
    asked = begin_check(r)
    assert reached.wait(30)

    r.operations.CancelOperation(CancelOperationRequest(name=asked.name))

    until(lambda: _now(r, asked).done, seconds=15)
    assert _now(r, asked).error.code == Code.CANCELLED


def test_collections_and_writes_do_not_wait_for_it(
    r: Registry, server: RunningServer, endless: Held
) -> None:
    r.create(files={"own": b"own"})
    asked = begin_check(r)
    assert endless.reached.wait(30)

    purge(r, 1)
    age(server)
    collection = begin(r)

    until(lambda: _now(r, collection).done, seconds=15)
    assert len(files(server.data)) == 0
    assert not _now(r, asked).done
    r.operations.CancelOperation(CancelOperationRequest(name=asked.name))


def _now(r: Registry, operation: Operation) -> Operation:
    return r.operations.GetOperation(GetOperationRequest(name=operation.name))
