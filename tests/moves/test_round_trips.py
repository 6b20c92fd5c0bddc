"""A registry that has lived comes through a move, and through backup and restore, as it was."""

from pathlib import Path

import pytest
from tests.moves.conftest import Admin, MakePlace, Stored, answers, checkpoint, live_on, serving
from tests.services.wire import MIB

KINDS = ("sqlite", "s3")


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, make_place: MakePlace) -> Stored:
    """A stopped registry that has lived on each kind of storage."""
    place = make_place(request.param)
    live_on(place)
    return place


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("minio", marks=pytest.mark.minio)])
def test_a_moved_registry_answers_as_it_did(
    source: Stored, kind: str, make_place: MakePlace, admin: Admin
) -> None:
    before = answers(source)
    with serving(source) as registry:
        signed = checkpoint(registry)
    target = make_place(kind)

    moved = admin("migrate-store", *source.options("from-"), *target.options("to-"))

    assert moved.code == 0, moved.err + moved.out
    assert answers(target) == before
    with serving(target) as registry:
        assert checkpoint(registry) == signed
        assert registry.create("new", {"f": b"after the move"}).number == 1
        registry.set_alias("production", 1)
    assert admin("verify", *target.options(), "--read-data").code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_registry_answers_as_it_did_and_says_that_it_was_restored(
    source: Stored, kind: str, make_place: MakePlace, tmp_path: Path, admin: Admin
) -> None:
    before = answers(source)
    target = make_place(kind)

    made = admin("backup", tmp_path / "backups", *source.options(), "--json")
    restored = admin("restore", tmp_path / "backups", *target.options())

    assert made.code == 0, made.err
    assert made.json["sent_bytes"] > MIB
    assert restored.code == 0, restored.err + restored.out
    after = answers(target)
    new = [answer for answer in after if answer not in before]
    assert [answer["record"]["act"] for answer in new] == ["log.restored"]
    assert [answer for answer in after if answer not in new] == before
    with serving(target) as registry:
        assert registry.create("new", {"f": b"after the restore"}).number == 1
    assert admin("verify", *target.options(), "--read-data").code == 0
