"""A registry that was moved lives at one place: where it went."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.client.proxy import Proxy
from tests.moves.conftest import Admin, MakePlace, Stored, live_on, serving
from tests.parts.postgres import Postgres, through
from tests.services.wire import refused

from modelkeep.v1 import asset_service_pb2
from modelkeep.v1.version_service_pb2 import GetVersionRequest
from modelkeep_server import moves
from modelkeep_server.domain import verify
from modelkeep_server.records import copying
from modelkeep_server.records.database import Database, Inspected
from modelkeep_server.records.postgres_survey import PostgresSurvey
from modelkeep_server.records.sql import Session
from modelkeep_server.records.tables import Event
from modelkeep_server.values.findings import Finding
from modelkeep_server.values.start import StartError


@pytest.mark.parametrize("kind", ["sqlite", "s3"])
def test_a_server_does_not_start_on_what_a_move_left(
    kind: str, make_place: MakePlace, admin: Admin
) -> None:
    source, target = make_place(kind), make_place("sqlite")
    live_on(source)
    assert admin("migrate-store", *source.options("from-"), *target.options("to-")).code == 0

    moved = f"this registry was moved to {target.data}"
    with pytest.raises(StartError, match=moved), serving(source):
        pass

    give_up = ("migrate-store", *source.options("from-"), "--give-up")
    refused = admin(*give_up)
    assert refused.code == 1
    assert f"all of it was moved to {target.data}" in refused.err
    with pytest.raises(StartError, match=moved), serving(source):
        pass

    assert admin(*give_up, "--force").code == 0
    with serving(source) as registry:
        assert registry.numbers("churn") != []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_registry_in_use_is_not_moved_and_goes_on(
    kind: str, make_place: MakePlace, admin: Admin
) -> None:
    source, target = make_place(kind), make_place("sqlite")
    with serving(source) as registry:
        registry.create("churn", {"f": b"here"})
        over = threading.Event()

        def write() -> None:
            registry.set_alias("best", 1)
            while not over.is_set():
                registry.remove_alias("best")
                registry.set_alias("best", 1)

        with ThreadPoolExecutor(1) as writer:
            writing = writer.submit(write)
            said = admin("migrate-store", *source.options("from-"), *target.options("to-"))
            over.set()

            assert said.code == 1
            assert "in use" in said.err or "is running on" in said.err
            writing.result()
    with serving(source) as registry:
        assert registry.get("@best").number == 1


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[Proxy]:
    with Proxy(f"127.0.0.1:{postgres_server.port}") as proxy:
        yield proxy


def test_a_server_that_was_cut_off_during_a_move_makes_no_version_after_it(
    proxy: Proxy, postgres_server: Postgres, make_place: MakePlace, admin: Admin
) -> None:
    source, target = make_place("postgres"), make_place("sqlite")
    assert source.database is not None
    with serving(replace(source, database=through(source.database, proxy.address))) as registry:
        made = registry.create("churn", {"f": b"before"})
        proxy.lead_to("127.0.0.1:1")
        proxy.cut()
        assert admin("migrate-store", *source.options("from-"), *target.options("to-")).code == 0
        proxy.lead_to(f"127.0.0.1:{postgres_server.port}")

        with refused("UNAVAILABLE", "REGISTRY_MOVED"):
            registry.create("churn", {"f": b"after"})
        with refused("UNAVAILABLE", "REGISTRY_MOVED"):
            registry.set_alias("best", 1, "churn")
        with refused("UNAVAILABLE", "REGISTRY_MOVED"):  # what it says of then must not change
            now = Timestamp()
            now.GetCurrentTime()
            name = registry.version("1")
            registry.versions.GetVersion(GetVersionRequest(name=name, as_of_time=now))
        assert registry.get("1", "churn") == made

        give_up = ("migrate-store", *source.options("from-"), "--give-up", "--force")
        assert admin(*give_up).code == 0
        assert registry.create("churn", {"f": b"after"}).number == 2


def test_bytes_that_come_during_a_move_are_not_copied_by_half(
    proxy: Proxy,
    postgres_server: Postgres,
    make_place: MakePlace,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = make_place("postgres"), make_place("sqlite")
    assert source.database is not None
    really = copying.copy
    with serving(replace(source, database=through(source.database, proxy.address))) as registry:
        registry.create("churn", {"f": b"before"})
        proxy.lead_to("127.0.0.1:1")
        proxy.cut()

        def copy(session: Session, to: Database, *, moves: bool) -> None:
            proxy.lead_to(f"127.0.0.1:{postgres_server.port}")
            registry.push_blobs(b"during the move")
            really(session, to, moves=moves)

        monkeypatch.setattr(copying, "copy", copy)
        said = admin("migrate-store", *source.options("from-"), *target.options("to-"), "--json")

    assert said.code == 0, said.out
    assert said.json["checked"]["blobs"] == 2  # a file and a manifest


def test_a_move_reads_rows_as_they_are_wanted(
    make_place: MakePlace, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make_place("postgres"), make_place("sqlite")
    live_on(source)
    really = verify.verify
    open_cursors: list[int] = []

    def look(session: Inspected, *args: Any, **options: Any) -> Iterator[Finding]:
        if isinstance(session, PostgresSurvey):
            events = session.each(Event.select(Event.position))
            next(events)
            found = session.execute("SELECT count(*) FROM pg_cursors").fetchone()
            assert found is not None
            open_cursors.append(found[0])
            del events
        return really(session, *args, **options)

    monkeypatch.setattr(moves, "verify", look)
    assert admin("migrate-store", *source.options("from-"), *target.options("to-")).code == 0

    assert open_cursors == [1]


def test_pages_of_before_a_move_go_on_after_it(
    stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    pages = asset_service_pb2.ListAssetsRequest(parent="namespaces/default", page_size=1)
    with serving(stored) as registry:
        pages.page_token = registry.assets.ListAssets(pages).next_page_token
        next_page = registry.assets.ListAssets(pages)
    target = make_place("s3")

    assert admin("migrate-store", *stored.options("from-"), *target.options("to-")).code == 0

    with serving(target) as registry:
        assert registry.assets.ListAssets(pages).assets == next_page.assets


def test_a_registry_is_moved_to_one_place_only(
    stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    one, other = make_place("sqlite"), make_place("sqlite")
    assert admin("migrate-store", *stored.options("from-"), *one.options("to-")).code == 0

    again = admin("migrate-store", *stored.options("from-"), *one.options("to-"))
    refused = admin("migrate-store", *stored.options("from-"), *other.options("to-"))

    assert again.code == 0
    assert refused.code == 1
    assert f"is being moved to {one.data}, or was" in refused.err


def test_a_place_with_a_registry_is_refused(
    stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    target = make_place("postgres")
    live_on(target)

    refused = admin("migrate-store", *stored.options("from-"), *target.options("to-"))

    assert refused.code == 1
    assert "already; give a new, empty place" in refused.err


def test_passwords_of_a_move_need_not_be_on_the_command_line(
    stored: Stored, make_place: MakePlace, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, back = make_place("postgres"), make_place("sqlite")
    assert there.database is not None

    with monkeypatch.context() as patch:
        patch.setenv("MODELKEEP_FROM_DATA", str(stored.data))
        patch.setenv("MODELKEEP_TO_DATA", str(there.data))
        patch.setenv("MODELKEEP_TO_DATABASE", there.database)
        assert admin("migrate-store").code == 0
    with monkeypatch.context() as patch:
        patch.setenv("MODELKEEP_FROM_DATABASE", there.database)
        assert admin("migrate-store", "--from-data", there.data, *back.options("to-")).code == 0

    with serving(back) as registry:
        assert registry.numbers("churn") != []


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "backups", "--database"),
        ("restore", "backups", "--database"),
        ("verify", "--database"),
        ("migrate-store", "--to-data", "new", "--from-database"),
        ("migrate-store", "--to-data", "new", "--to-database"),
    ],
)
def test_a_wrong_url_is_told_and_not_shown(arguments: tuple[str, ...], admin: Admin) -> None:
    said = admin(*arguments, "postgresql://modelkeep:hid/den@db/modelkeep")

    assert said.code == 2
    assert f"the setting database ({arguments[-1]}) is wrong; it must be postgresql://" in said.err
    assert "hid" not in said.err + said.out
    assert "den" not in said.err + said.out
