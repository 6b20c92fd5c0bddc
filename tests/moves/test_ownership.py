"""A store is one registry's: nobody else writes there, and nobody looks for bytes elsewhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.moves.conftest import Admin, MakePlace, Stored, answers, live_on, serving
from tests.parts.s3 import bucket_at
from tests.services.wire import download
from tests.services.wire import refused as refused_as

from modelkeep_server.blobs import LocalStore
from modelkeep_server.domain import ownership
from modelkeep_server.records import copying
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.s3_place import S3Place
from modelkeep_server.values.start import StartError

KINDS = ["postgres", "s3"]


def _with_store_of(one: Stored, other: Stored) -> Stored:
    """Give a registry another's store."""
    if one.blobs is None:
        return replace(one, data=other.data)
    return replace(one, blobs=other.blobs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_database_does_not_take_anothers_store(kind: str, make_place: MakePlace) -> None:
    other, new = make_place(kind), make_place(kind)
    with serving(other) as registry:
        registry.create("churn", {"f": b"theirs"})

    with pytest.raises(StartError, match="is the store of another registry"):
        serving(_with_store_of(new, other)).__enter__()

    with serving(other) as registry:
        assert download(registry, registry.version(1), "f") == [b"theirs"]


@pytest.mark.parametrize("kind", KINDS)
def test_not_even_before_anything_is_in_it(kind: str, make_place: MakePlace) -> None:
    other, new = make_place(kind), make_place(kind)
    with serving(other):
        pass

    with pytest.raises(StartError, match="is the store of another registry"):
        serving(_with_store_of(new, other)).__enter__()


def test_a_database_in_a_folder_does_not_take_anothers_bucket(
    make_place: MakePlace, tmp_path: Path
) -> None:
    other = make_place("s3")
    live_on(other)

    with pytest.raises(StartError, match="is the store of another registry"):
        serving(Stored(tmp_path / "new", blobs=other.blobs)).__enter__()


def test_a_place_of_backups_is_nobodys_store(
    stored: Stored, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    new = make_place("s3")
    assert new.blobs is not None
    assert admin("backup", new.blobs, *stored.options()).code == 0

    with pytest.raises(StartError, match="is the store of another registry"):
        serving(new).__enter__()


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_its_blobs_there_needs_no_mark(kind: str, make_place: MakePlace) -> None:
    place = make_place(kind)
    live_on(place)
    _forget_owner(place)

    assert answers(place)
    assert _owner(place)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["verify", "backup", "migrate-store"])
def test_a_registrys_bytes_are_not_looked_for_in_anothers_store(
    command: str, kind: str, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    one, other, new = make_place(kind), make_place(kind), make_place("sqlite")
    live_on(one)
    live_on(other)
    wrong = _with_store_of(one, other)
    arguments = {
        "verify": ("verify", *wrong.options()),
        "backup": ("backup", tmp_path / "backups", *wrong.options()),
        "migrate-store": ("migrate-store", *wrong.options("from-"), *new.options("to-")),
    }[command]

    said = admin(*arguments)

    assert said.code == (3 if command == "verify" else 1)
    assert "is not the store of this registry" in said.err
    assert admin("verify", *one.options()).code == 0
    assert answers(one)  # a move that was refused has not put it out of service


def test_a_store_that_was_forgotten_is_not_damage(make_place: MakePlace, admin: Admin) -> None:
    place = make_place("s3")
    live_on(place)

    said = admin("verify", *replace(place, blobs=None).options())

    assert said.code == 3
    assert f"{place.data} is not the store of this registry" in said.err


def test_a_database_that_was_forgotten_is_asked_for(make_place: MakePlace) -> None:
    place = make_place("postgres")
    live_on(place)

    with pytest.raises(StartError, match="name that with --database"):
        serving(Stored(place.data)).__enter__()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restore_does_not_go_on_in_another_store(
    kind: str, stored: Stored, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    target, elsewhere = make_place(kind), make_place(kind)
    backups = tmp_path / "backups"
    assert admin("backup", backups, *stored.options()).code == 0
    assert admin("restore", backups, *target.options()).code == 0

    refused = admin("restore", backups, *_with_store_of(target, elsewhere).options())
    again = admin("restore", backups, *target.options())

    assert refused.code == 1
    assert "was begun with its bytes in" in refused.err
    assert again.code == 0
    assert answers(target)


@pytest.mark.parametrize("begun_apart", [False, True])
def test_a_copy_goes_on_in_the_place_that_it_was_begun_in(
    begun_apart: bool,
    stored: Stored,
    make_place: MakePlace,
    tmp_path: Path,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = Stored(tmp_path / "new", blobs=make_place("s3").blobs)
    plain = Stored(tmp_path / "new")
    begun, other = (apart, plain) if begun_apart else (plain, apart)
    backups = tmp_path / "backups"
    _restore_by_half(admin, monkeypatch, stored, backups, begun)

    refused = admin("restore", backups, *other.options())
    assert admin("restore", backups, *begun.options()).code == 0

    assert refused.code == 1
    assert "was begun with its bytes in" in refused.err
    assert answers(begun)


def test_a_restore_goes_on_with_its_backup_although_there_is_a_newer_one(
    stored: Stored,
    make_place: MakePlace,
    tmp_path: Path,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, backups = make_place("postgres"), tmp_path / "backups"
    _restore_by_half(admin, monkeypatch, stored, backups, target)
    with serving(stored) as registry:
        registry.create("later", {"f": b"later"})
    assert admin("backup", backups, *stored.options()).code == 0

    assert admin("restore", backups, *target.options()).code == 0

    with serving(target) as registry:
        assert registry.numbers("churn")
        with refused_as("NOT_FOUND", "RESOURCE_NOT_FOUND"):
            registry.numbers("later")


def test_of_two_new_registries_that_start_at_once_one_has_the_store(
    make_place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make_place("postgres"), make_place("postgres")
    two = replace(two, data=one.data)
    really = LocalStore.claim

    def late(store: LocalStore, owner: str) -> str:
        monkeypatch.setattr(LocalStore, "claim", really)
        with serving(two) as registry:
            registry.create("theirs", {"f": b"theirs"})
        return really(store, owner)

    monkeypatch.setattr(LocalStore, "claim", late)
    with pytest.raises(StartError, match="is the store of another registry"):
        serving(one).__enter__()

    with serving(two) as registry:
        assert registry.numbers("theirs") == [1]


def test_a_restore_does_not_take_a_store_that_was_just_taken(
    stored: Stored,
    make_place: MakePlace,
    tmp_path: Path,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, other = make_place("postgres"), make_place("postgres")
    other = replace(other, data=target.data)
    assert admin("backup", tmp_path / "backups", *stored.options()).code == 0
    really = ownership.claim_for_copy

    def late(*given: Any) -> None:
        with serving(other) as registry:
            registry.create("theirs", {"f": b"theirs"})
        really(*given)

    monkeypatch.setattr(ownership, "claim_for_copy", late)

    refused = admin("restore", tmp_path / "backups", *target.options())

    assert refused.code == 1
    assert "is not empty, or another registry's" in refused.err
    with serving(other) as registry:
        assert registry.numbers("theirs") == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_no_backup_goes_into_a_registrys_store(
    kind: str, stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    other = make_place(kind)
    live_on(other)

    refused = admin("backup", other.blobs or other.data, *stored.options())

    assert refused.code == 1
    assert admin("verify", *other.options()).code == 0


def test_a_bucket_with_something_else_is_nobodys_store(make_place: MakePlace) -> None:
    new = make_place("s3")
    assert new.blobs is not None
    bucket_at(new.blobs).put(f"{S3Place.parse(new.blobs).prefix}registry", b"a thing" * 10**6)

    with pytest.raises(StartError, match="or of something else"):
        serving(new).__enter__()


def test_a_move_that_is_given_up_meanwhile_does_not_end(
    make_place: MakePlace, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make_place("postgres"), make_place("sqlite")
    live_on(source)
    give_up = ("migrate-store", *source.options("from-"), "--give-up")
    really = copying.copy

    def copy(*given: Any, **named: Any) -> None:
        really(*given, **named)
        assert admin(*give_up).code == 0

    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy", copy)
        refused = admin("migrate-store", *source.options("from-"), *target.options("to-"))

    assert refused.code == 1
    assert "was given up" in refused.err
    assert answers(source)
    with pytest.raises(StartError, match="was cut short"):
        serving(target).__enter__()

    with monkeypatch.context() as patch:  # and nothing is left of it
        patch.setattr(copying, "copy", _cut_short)
        elsewhere = make_place("sqlite")
        admin("migrate-store", *source.options("from-"), *elsewhere.options("to-"))
    assert admin(*give_up).code == 0


def test_a_finished_move_that_is_repeated_is_finished(
    stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    target = make_place("sqlite")
    move = ("migrate-store", *stored.options("from-"), *target.options("to-"))
    give_up = ("migrate-store", *stored.options("from-"), "--give-up")
    assert admin(*move).code == 0
    assert admin(*give_up, "--force").code == 0

    assert admin(*move).code == 0

    assert admin(*give_up).code == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_move_that_is_refused_changes_nothing(
    kind: str, stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    target = make_place(kind)
    with serving(target) as registry:
        registry.create("mine", {"f": b"mine"})

    refused = admin("migrate-store", *stored.options("from-"), *target.options("to-"))

    assert refused.code == 1
    assert "has a registry already" in refused.err
    assert answers(stored)
    with serving(target) as registry:
        assert registry.numbers("mine") == [1]


def test_a_registry_that_was_moved_is_not_backed_up_where_it_was(
    stored: Stored, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    target = make_place("sqlite")
    assert admin("migrate-store", *stored.options("from-"), *target.options("to-")).code == 0

    refused = admin("backup", tmp_path / "backups", *stored.options())

    assert refused.code == 1
    assert f"this registry was moved to {target.data}" in refused.err
    assert admin("backup", tmp_path / "backups", *target.options()).code == 0


def test_no_data_folder_need_be_named_where_all_is_elsewhere(
    stored: Stored, make_place: MakePlace, admin: Admin
) -> None:
    target = make_place("s3")
    assert target.blobs is not None
    elsewhere = ("--to-database", str(target.database), "--to-blobs", target.blobs)

    assert admin("migrate-store", *stored.options("from-"), *elsewhere[:2]).code == 2
    moved = admin("migrate-store", *stored.options("from-"), *elsewhere)

    assert moved.code == 0
    assert f"and {S3Place.parse(target.blobs)}: " in moved.out + moved.err
    assert answers(target)


def _restore_by_half(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, source: Stored, backups: Path, target: Stored
) -> None:
    """Back a registry up, and restore that until it is cut short."""
    assert admin("backup", backups, *source.options()).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy", _cut_short)
        assert admin("restore", backups, *target.options()).code == 1


def _cut_short(*_: Any, **__: Any) -> None:
    raise MoveError("cut short")


def _owner(place: Stored) -> bool:
    if place.blobs is None:
        return (place.data / "registry").exists()
    return bucket_at(place.blobs).find(S3Place.parse(place.blobs).owner) is not None


def _forget_owner(place: Stored) -> None:
    assert _owner(place)
    if place.blobs is None:
        (place.data / "registry").unlink()
    else:
        bucket_at(place.blobs).remove(S3Place.parse(place.blobs).owner)
