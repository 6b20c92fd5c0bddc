"""A restore goes into an empty place, and begins a log of another origin."""

import shutil
import uuid
from pathlib import Path

import pytest
from tests.moves.conftest import Admin, MakePlace, Stored, checkpoint, live_on, log, serving
from tests.raw import ask
from tests.services.wire import refused as refusing

from modelkeep.checkpoints import LogKey
from modelkeep.v1 import asset_service_pb2, event_pb2
from modelkeep_server.records import schema
from modelkeep_server.values.start import StartError


@pytest.fixture
def backups(stored: Stored, tmp_path: Path, admin: Admin) -> Path:
    """A place with a backup."""
    assert admin("backup", tmp_path / "backups", *stored.options()).code == 0
    return tmp_path / "backups"


@pytest.mark.parametrize("kind", ["sqlite", "s3"])
def test_a_place_with_a_registry_is_refused_and_stays(
    kind: str, make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    target = make_place(kind)
    with serving(target) as registry:
        registry.create("mine", {"f": b"mine"})

    refused = admin("restore", backups, *target.options())

    assert refused.code == 1
    assert "already; give a new, empty place" in refused.err
    with serving(target) as registry:
        assert registry.numbers("mine") == [1]
        with refusing("NOT_FOUND", "RESOURCE_NOT_FOUND"):
            registry.numbers("churn")


def test_a_place_where_a_server_was_only_started_is_refused(
    make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    target = make_place("postgres")
    with serving(target):
        pass

    refused = admin("restore", backups, *target.options())

    assert refused.code == 1
    assert "has a registry already" in refused.err


def test_a_new_database_beside_the_blobs_of_another_is_refused(
    make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    other, new = make_place("s3"), make_place("postgres")
    live_on(other)
    target = Stored(new.data, new.database, other.blobs)

    refused = admin("restore", backups, *target.options())

    assert refused.code == 1
    assert "is not empty, or another registry's" in refused.err


def test_a_running_servers_folder_is_refused(
    make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    target = make_place("sqlite")
    with serving(target):
        refused = admin("restore", backups, *target.options())

    assert refused.code == 1
    assert "is in use by another server" in refused.err


def test_the_first_event_says_where_the_log_before_had_ended(
    stored: Stored, make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    with serving(stored) as registry:
        last = log(registry)[-1]
    target = make_place("sqlite")

    assert admin("restore", backups, *target.options()).code == 0

    with serving(target) as registry:
        event = log(registry)[-1]
    origin = event_pb2.LogOrigin()
    assert event.bodies[0].after.Unpack(origin)
    assert event.position == last.position + 1
    assert event.record.principal == "principals/system"
    assert (origin.previous_position, origin.revision) == (last.position, 1)
    assert origin.previous_log_time == last.log_time
    assert len(origin.previous_leaf_hash) == 32
    assert len({origin.id, origin.previous_id}) == 2


def test_a_restored_log_has_a_key_of_its_own(
    stored: Stored, make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    """No backup has what could sign for the log that it is of."""
    with serving(stored) as registry:
        before = checkpoint(registry)
    target = make_place("postgres")

    assert admin("restore", backups, *target.options()).code == 0

    with serving(target) as registry:
        after = checkpoint(registry)
    assert after.origin != before.origin
    key, old = LogKey.parse(after.key), LogKey.parse(before.key)
    assert (key.name, old.name) == (after.origin, before.origin)
    assert key.public != old.public


def test_a_request_of_before_is_known_and_a_page_of_before_is_not(
    make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    source, target = make_place("sqlite"), make_place("postgres")
    request_id = str(uuid.uuid4())
    pages = asset_service_pb2.ListAssetsRequest(parent="namespaces/default", page_size=1)
    with serving(source) as registry:
        made = registry.create("one", {"f": b"1"}, request_id=request_id)
        registry.create("two", {"f": b"2"})
        pages.page_token = registry.assets.ListAssets(pages).next_page_token
    assert admin("backup", tmp_path / "backups", *source.options()).code == 0
    assert admin("restore", tmp_path / "backups", *target.options()).code == 0

    with serving(target) as registry:
        again = registry.create("one", {"f": b"1"}, request_id=request_id)
        with refusing("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
            registry.assets.ListAssets(pages)

    assert again == made


def test_a_restore_that_is_asked_for_again_does_nothing(
    make_place: MakePlace, backups: Path, admin: Admin
) -> None:
    target = make_place("sqlite")
    assert admin("restore", backups, *target.options()).code == 0
    with serving(target) as registry:
        registry.create("new", {"f": b"new"})
        length = len(log(registry))

    again = admin("restore", backups, *target.options())

    assert again.code == 0, again.err
    with serving(target) as registry:
        assert len(log(registry)) == length


def test_what_collection_condemned_and_parts_of_uploads_are_not_in_a_backup(
    stored: Stored, tmp_path: Path, admin: Admin
) -> None:
    target = Stored(tmp_path / "restored")
    key = "ab" * 16
    ask(stored, "INSERT INTO condemned_blob (key, size, due_us) VALUES (?, 5, 0)", key)

    assert admin("backup", tmp_path / "backups", *stored.options()).code == 0
    assert admin("restore", tmp_path / "backups", *target.options()).code == 0

    for table in ("condemned_blob", "staged_part"):
        count = f"SELECT COUNT(*) FROM {table}"  # the names are ours
        assert (ask(stored, count), ask(target, count)) == ([(1,)], [(0,)])


def test_an_older_backup_is_brought_up_to_date_and_a_newer_one_refused(
    make_place: MakePlace,
    backups: Path,
    tmp_path: Path,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = schema.MIGRATIONS
    shutil.copytree(known, tmp_path / "migrations")
    (tmp_path / "migrations" / "0099_added.py").write_text(
        'def up(migrator, db):\n    db.execute_sql(\'CREATE TABLE "added" ("x" INTEGER)\')\n'
    )
    newer, older = make_place("sqlite"), make_place("sqlite")

    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path / "migrations")
    assert admin("verify", "--backup", backups).code == 0
    assert admin("restore", backups, *newer.options()).code == 0
    assert admin("backup", tmp_path / "more", *newer.options()).code == 0
    monkeypatch.setattr(schema, "MIGRATIONS", known)
    refused = admin("restore", tmp_path / "more", *older.options())

    assert refused.code == 1
    assert "was written by a newer modelkeep (it has 0099_added)" in refused.err


def test_a_server_does_not_start_where_not_all_is_restored(
    make_place: MakePlace, backups: Path, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelkeep_server.records import copying

    target = make_place("postgres")

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(copying, "copy", fail)
        assert admin("restore", backups, *target.options()).code == 1
    with pytest.raises(StartError, match="repeat that command"), serving(target):
        pass

    assert admin("restore", backups, *target.options()).code == 0
    with serving(target) as registry:
        assert registry.numbers("churn") != []


def test_another_backup_is_not_put_on_top_of_a_part_of_one(
    stored: Stored,
    make_place: MakePlace,
    backups: Path,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from modelkeep_server import moves

    target = make_place("sqlite")
    with monkeypatch.context() as broken:
        broken.setattr(moves, "copy_blobs", lambda *_: 1 / 0)
        assert admin("restore", backups, *target.options()).code == 1
    with serving(stored) as registry:
        registry.create("more", {"f": b"more"})
    assert admin("backup", backups, *stored.options()).code == 0
    newest = max((backups / "backups").iterdir())

    refused = admin("restore", newest, *target.options())

    assert refused.code == 1
    assert "has a part of something else" in refused.err
