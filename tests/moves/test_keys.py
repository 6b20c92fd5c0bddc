"""Two stores of different owners: each is asked with keys of its own."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.moves.conftest import Admin, MakePlace, Stored, serving
from tests.parts.s3 import S3Server, variables
from tests.parts.seaweed import seaweed

from modelkeep_server.values.s3_place import S3Keys

OTHERS = S3Keys("another-owner", "another secret")


@pytest.fixture(scope="module")
def others_store() -> Iterator[S3Server]:
    """A store that takes none of the keys which that of the tests does, nor that these."""
    with seaweed(OTHERS) as running:
        yield running


@pytest.fixture
def source(make_place: MakePlace) -> Stored:
    place = make_place("s3")
    with serving(place) as registry:
        registry.create("churn", {"f": b"kept at the one"})
    return place


def test_a_backup_goes_to_a_store_of_another_owner_and_comes_back(
    source: Stored,
    others_store: S3Server,
    make_place: MakePlace,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backups, target = others_store.url(), make_place("s3")

    refused = admin("backup", backups, *source.options())
    for name, value in variables(OTHERS, "MODELKEEP_BACKUP_").items():
        monkeypatch.setenv(name, value)

    assert refused.code == 1
    assert "see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refused.err
    assert admin("backup", backups, *source.options()).code == 0
    assert admin("verify", "--backup", backups, "--read-data").code == 0
    assert admin("restore", backups, *target.options()).code == 0
    with serving(target) as registry:
        assert registry.numbers("churn") == [1]


def test_a_registry_moves_between_stores_of_two_owners(
    source: Stored,
    others_store: S3Server,
    make_place: MakePlace,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, back = replace(make_place("postgres"), blobs=others_store.url()), make_place("s3")
    with monkeypatch.context() as patch:
        for name, value in variables(OTHERS, "MODELKEEP_TO_").items():
            patch.setenv(name, value)
        assert admin("migrate-store", *source.options("from-"), *there.options("to-")).code == 0

    refused = admin("migrate-store", *there.options("from-"), *back.options("to-"))
    for name, value in variables(OTHERS, "MODELKEEP_FROM_").items():
        monkeypatch.setenv(name, value)
    moved = admin("migrate-store", *there.options("from-"), *back.options("to-"))

    assert refused.code == 1
    assert moved.code == 0
    with serving(back) as registry:
        assert registry.numbers("churn") == [1]


@pytest.mark.parametrize("name", ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"])
def test_a_part_of_a_stores_own_keys_is_refused(
    name: str, source: Stored, make_place: MakePlace, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MODELKEEP_BACKUP_AWS_{name}", "hidden")
    monkeypatch.setenv(f"MODELKEEP_TO_AWS_{name}", "hidden")
    target = make_place("s3")

    for whose, said in (
        ("BACKUP", admin("backup", target.blobs, *source.options())),
        ("TO", admin("migrate-store", *source.options("from-"), *target.options("to-"))),
    ):
        assert said.code in (1, 2)
        assert f"MODELKEEP_{whose}_AWS_ACCESS_KEY_ID and MODELKEEP_{whose}_AWS_SECRET" in said.err
        assert "hidden" not in said.err
