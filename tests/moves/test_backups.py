"""A backup is one state of a registry, has only what is right, and is there once it is whole."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest
from tests.collecting import age, collect, files, purge
from tests.moves.conftest import Admin, MakePlace, Stored, live_on, log, serving
from tests.parts.s3 import KEYS
from tests.rounds import check_kept
from tests.services.wire import Registry, digest, refused
from tests.verify.life import WEIGHTS, blob_file

from modelkeep_server.blobs import open_backups
from modelkeep_server.domain.keeping import kept
from modelkeep_server.records import holding, live, survey
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.postgres_survey import surveyed
from modelkeep_server.records.sql import Session
from modelkeep_server.values.stored_blob import StoredBlob

NEW = Random(7).randbytes(3_000_000)


def points(place: Path) -> list[str]:
    """List the backups of a folder."""
    return sorted(os.listdir(place / "backups")) if place.is_dir() else []


@pytest.fixture(params=["folder", "s3", pytest.param("minio", marks=pytest.mark.minio)])
def place(request: pytest.FixtureRequest, make_place: MakePlace, tmp_path: Path) -> str:
    """A place for backups of each kind."""
    if request.param == "folder":
        return str(tmp_path / "backups")
    return str(make_place(request.param).blobs)


def test_what_a_place_has_of_earlier_backups_is_not_sent_again(
    place: str, stored: Stored, admin: Admin
) -> None:

    first = admin("backup", place, *stored.options(), "--json").json
    with serving(stored) as registry:
        registry.create("new", {"f": NEW})
    second = admin("backup", place, *stored.options(), "--json").json
    third = admin("backup", place, *stored.options(), "--json").json

    assert (first["there"], first["sent_bytes"]) == (0, first["total_bytes"])
    assert second["there_bytes"] == first["total_bytes"]
    assert len(NEW) < second["sent_bytes"] < len(NEW) + 200  # and a manifest
    assert (third["sent"], third["there_bytes"]) == (0, second["total_bytes"])
    assert admin("verify", "--backup", place, "--read-data").code == 0


def test_each_of_several_backups_can_be_restored(
    stored: Stored, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    place = tmp_path / "backups"
    first = admin("backup", place, *stored.options(), "--json").json["backup"]
    with serving(stored) as registry:
        registry.create("new", {"f": NEW})
    second = admin("backup", place, *stored.options(), "--json").json["backup"]
    earlier, later = make_place("sqlite"), make_place("sqlite")

    assert admin("verify", "--backup", first, "--read-data").code == 0
    assert admin("verify", "--backup", second, "--read-data").code == 0
    assert admin("restore", first, *earlier.options()).code == 0
    assert admin("restore", place, *later.options()).code == 0

    with serving(earlier) as before, serving(later) as after:
        assert before.numbers("churn") == after.numbers("churn")
        assert after.numbers("new") == [1]
        with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
            before.numbers("new")


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "s3"])
def test_a_backup_beside_writers_has_all_that_was_acknowledged_before(
    kind: str, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    source, target = make_place(kind), make_place("sqlite")
    acknowledged: dict[str, int] = {}
    failures: list[BaseException] = []
    over = threading.Event()

    def write(registry: Registry, asset: str) -> None:
        try:
            for number in count(1):
                if over.is_set():
                    return
                content = Random(f"{asset}{number}").randbytes(40_000)
                made = registry.create(asset, {"f": content, "n": str(number).encode()})
                registry.set_alias("best", made.number, asset)
                acknowledged[asset] = made.number
        except BaseException as failure:
            failures.append(failure)

    with serving(source) as registry:
        assets = [f"asset-{n}" for n in range(4)]
        writers = [threading.Thread(target=write, args=(registry, asset)) for asset in assets]
        for writer in writers:
            writer.start()
        while len(acknowledged) < len(assets) or min(acknowledged.values()) < 3:
            assert not failures
        before = dict(acknowledged)
        made = admin("backup", tmp_path / "backups", *source.options())
        over.set()
        for writer in writers:
            writer.join()

    assert failures == []
    assert made.code == 0, made.err
    restored = admin("restore", tmp_path / "backups", *target.options())
    assert restored.code == 0, restored.out + restored.err
    with serving(target) as registry:
        for asset, number in before.items():
            kept = registry.numbers(asset, page_size=1000)
            check_kept(set(range(1, number + 1)) <= set(kept), asset)
            check_kept(registry.get("@best", asset).number >= number, f"the alias of {asset}")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_bytes_are_collected_while_a_backup_is_made(
    kind: str,
    make_place: MakePlace,
    tmp_path: Path,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_place(kind)
    seen: list[bool] = []
    really = survey.blobs

    with serving(source) as registry:
        registry.create("new", {"f": NEW})

        def look(session: Session) -> Iterator[StoredBlob]:
            seen.append(_is_held(source))
            return really(session)

        monkeypatch.setattr(survey, "blobs", look)
        assert admin("backup", tmp_path / "backups", *source.options()).code == 0

        assert seen == [True]
        assert not _is_held(source)


def _is_held(stored: Stored) -> bool:
    if stored.database is None:
        with live.live(stored.data) as session:
            return holding.is_held(session, now_us())
    with surveyed(stored.database) as found:
        return holding.is_held(found, now_us())


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_backup_holds_collection_off_whatever_its_machines_clock_says(
    hours: int, make_place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_place("postgres")
    assert source.database is not None
    really = time.time_ns

    with serving(source) as registry, closing(PostgresDatabase(source.database)) as database:
        registry.create("churn", {"f": NEW})
        purge(registry, 1)
        age(source)
        before = files(source.data)
        with ExitStack() as parts:
            with monkeypatch.context() as patch:
                patch.setattr(time, "time_ns", lambda: really() + hours * 3_600_000_000_000)
                parts.enter_context(kept(database.write, is_shared=True))
            collect(registry)
            assert files(source.data) == before
        collect(registry)

        assert files(source.data) < before


def test_a_hold_ends_by_itself_and_where_a_clock_was_set_back(stored: Stored) -> None:
    now = now_us()
    live.write(stored.data, lambda session: holding.hold(session, "one", now))

    with live.live(stored.data) as session:
        assert holding.is_held(session, now + holding.HOLD_US - 1)
        assert not holding.is_held(session, now + holding.HOLD_US)
        assert not holding.is_held(session, now - 2 * holding.HOLD_US)


def test_a_wrong_byte_stops_a_backup_and_is_named(
    stored: Stored, tmp_path: Path, admin: Admin
) -> None:
    file = blob_file(stored.data, WEIGHTS)
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.seek(2_000_000)
        opened.write(b"!")

    said = admin("backup", tmp_path / "backups", *stored.options())

    assert said.code == 1
    assert digest(WEIGHTS) in said.err
    assert "damaged in the block at byte 1048576" in said.err
    assert points(tmp_path / "backups") == ["partial"]
    assert not list((tmp_path / "backups" / "blobs").glob(f"*/{file.name}"))
    assert "has no backup" in admin("restore", tmp_path / "backups", "--data", tmp_path / "x").err


def test_a_wrong_byte_in_a_backup_is_found_and_not_restored(
    stored: Stored, tmp_path: Path, admin: Admin
) -> None:
    place, target = tmp_path / "backups", Stored(tmp_path / "restored")
    assert admin("backup", place, *stored.options()).code == 0
    file = blob_file(place, WEIGHTS)
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.seek(2_000_000)
        opened.write(b"!")

    found = admin("verify", "--backup", place, "--read-data", "--json")
    said = admin("restore", place, *target.options())

    assert found.code == 2
    assert [damage["resource"] for damage in found.json["damage"]] == [digest(WEIGHTS)]
    assert said.code == 1
    assert digest(WEIGHTS) in said.err
    with pytest.raises(Exception, match="was cut short, and not all is here"), serving(target):
        pass


def test_a_blob_that_a_backup_lost_is_found_before_anything_is_restored(
    stored: Stored, tmp_path: Path, admin: Admin
) -> None:
    place = tmp_path / "backups"
    assert admin("backup", place, *stored.options()).code == 0
    blob_file(place, WEIGHTS).unlink()

    said = admin("restore", place, "--data", tmp_path / "restored")

    assert said.code == 1
    assert f"it is damaged: blob {digest(WEIGHTS)}: its file" in said.err
    assert not list((tmp_path / "restored").glob("blobs/*/*"))


def test_what_is_no_place_for_backups_is_refused(
    stored: Stored, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    own = make_place("s3")
    live_on(own)

    apart = "can't be in the registry's own place"
    linked = replace(own, blobs=f"{own.blobs}&public_endpoint=https://s3.example.com")
    bucket, _, store = str(own.blobs).partition("?")
    for place, source, why in (
        (tmp_path / "other", stored, "holds other things than backups"),
        (stored.data, stored, apart),
        (stored.data / "backups", stored, apart),
        (own.blobs, own, apart),
        (own.blobs, linked, apart),
        (f"{bucket}/deeper?{store}", own, apart),
        (f"{bucket}?endpoint=https://S3.example.com:443&region=eu", linked, apart),
        ("s3://Bad?x", stored, "the place of backups is wrong; it must name a bucket"),
        ("", stored, "empty"),
    ):
        said = admin("backup", place, *source.options())
        assert said.code in (1, 2)
        assert why in said.err
        assert said.err.count("\n") == 1


def test_a_place_for_backups_has_one_store(place: str) -> None:
    # Which parts are being written is known to one: another would sweep them.
    backups, _ = open_backups(place, KEYS)
    with backups.making():
        assert backups.store is backups.store


def test_a_stopped_servers_folder_is_not_changed_by_a_backup(
    stored: Stored, tmp_path: Path, admin: Admin
) -> None:
    before = {path: path.stat().st_mtime_ns for path in stored.data.rglob("*")}

    assert admin("backup", tmp_path / "backups", *stored.options()).code == 0

    assert {path: path.stat().st_mtime_ns for path in stored.data.rglob("*")} == before


def test_a_backup_of_a_registry_that_was_restored_is_one_too(
    stored: Stored, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    once, twice = make_place("sqlite"), make_place("sqlite")
    assert admin("backup", tmp_path / "one", *stored.options()).code == 0
    assert admin("restore", tmp_path / "one", *once.options()).code == 0
    assert admin("backup", tmp_path / "two", *once.options()).code == 0

    assert admin("restore", tmp_path / "two", *twice.options()).code == 0

    with serving(twice) as registry:
        assert log(registry)[-1].record.changes[0].revision == 2
