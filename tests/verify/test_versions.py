"""Each way in which a version can be wrong is found, and named."""

from pathlib import Path

import pytest
from tests.verify.conftest import Verify, ask, edit
from tests.verify.life import ASSET, IS_ASSET, is_alias, is_version

from modelkeep.v1 import version_pb2

FIRST = is_version(1)
SECOND = is_version(2)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f"UPDATE version SET digest = zeroblob(32) WHERE {FIRST}", "another digest"),
        (f"UPDATE version SET stage = 2 WHERE {FIRST}", "another stage"),
        (f"UPDATE version SET revision = 9 WHERE {FIRST}", "number or etag"),
        (f"UPDATE version SET revision = 9 WHERE {FIRST}", "the log's last is"),
        (f"UPDATE version SET deleted_us = 5 WHERE {FIRST}", "deleted at another time"),
        (f"UPDATE version SET purge_us = 5 WHERE {FIRST}", "deleted at another time"),
        (f"UPDATE version SET purged = 1 WHERE {FIRST}", "whether its bytes were released"),
        (f"UPDATE version SET base = x'ff' WHERE {FIRST}", "can't be read"),
        (f"UPDATE version SET manifest_id = 1 WHERE {FIRST}", "its manifest is sha256:"),
        (f"UPDATE version SET manifest_id = 1 WHERE {FIRST}", "its files and bytes"),
        (f"UPDATE version SET manifest_id = 99 WHERE {FIRST}", "not there, or not sealed"),
        ("UPDATE manifest SET sealed = 0", "not there, or not sealed"),
        ("UPDATE scope SET name = 'namespaces/x'", "was sealed under namespaces/x"),
        ("UPDATE recipe SET body = x''", "its recipe does not have the digest"),
        ("UPDATE recipe SET body = x'ff'", "can't be read"),
        ("DELETE FROM recipe", "its recipe does not have the digest"),
        ("DELETE FROM input", "inputs are not the edges"),
        ("UPDATE input SET role = 4", "inputs are not the edges"),
        ("UPDATE input SET ordinal = 4", "inputs are not the edges"),
        ("UPDATE input SET source_id = 99", "inputs are not the edges"),
        ("UPDATE version SET digest = zeroblob(32) WHERE id = 1", "inputs are not the edges"),
        ("UPDATE version SET deleted_us = 5 WHERE id = 1", "rows/versions/1 is deleted"),
        ("UPDATE asset SET deleted_us = 5 WHERE id = 1", "rows/versions/1 is deleted"),
        (f"DELETE FROM stage_move WHERE {FIRST}", "its history does not end"),
        (f"UPDATE stage_move SET stage = 2 WHERE {FIRST}", "its history does not end"),
        (f"UPDATE stage_move SET version_id = 1 WHERE {FIRST}", "its history does not end"),
    ],
)
def test_a_wrong_row(data: Path, verify: Verify, sql: str, words: str) -> None:
    edit(data, sql)

    verify(data).check("version", f"{ASSET}/versions/1", words)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f"DELETE FROM version WHERE {SECOND}", "is not there, but events/"),
        (f"DELETE FROM alias WHERE {is_alias('production')}", "['production'], and they are []"),
        (f"DELETE FROM alias WHERE {is_alias('production')}", "in production and not"),
        (f"UPDATE version SET stage = 2 WHERE {SECOND}", "not what the alias production says"),
    ],
)
def test_a_wrong_row_of_what_is_in_production(
    data: Path, verify: Verify, sql: str, words: str
) -> None:
    edit(data, sql)

    verify(data).check("version", f"{ASSET}/versions/2", words)


def test_a_deletion_that_the_history_does_not_know(data: Path, verify: Verify) -> None:
    edit(data, f"DELETE FROM stage_move WHERE stage = 0 AND {is_version(3)}")

    verify(data).check("version", f"{ASSET}/versions/3", "its history does not end")


def test_a_record_that_was_changed(data: Path, verify: Verify) -> None:
    base = version_pb2.Version.FromString(ask(data, f"SELECT base FROM version WHERE {FIRST}"))
    base.record.change_note = "better than it was"
    edit(data, f"UPDATE version SET base = ? WHERE {FIRST}", base.SerializeToString())

    verified = verify(data)

    verified.check("version", f"{ASSET}/versions/1", "its record does not have the digest")
    verified.check("version", f"{ASSET}/versions/1", "is not what events/")


def test_a_text_that_was_changed_is_known_by_the_log_alone(data: Path, verify: Verify) -> None:
    more = version_pb2.Version(description="best of all").SerializeToString()
    edit(data, f"UPDATE version SET base = CAST(base || ? AS BLOB) WHERE {FIRST}", more)

    verified = verify(data)

    verified.check("version", f"{ASSET}/versions/1", "is not what events/")
    assert len(verified.report["damage"]) == 1


def test_a_row_that_is_serialized_anew_is_no_damage(data: Path, verify: Verify) -> None:
    base = ask(data, f"SELECT base FROM version WHERE {FIRST}")
    # The number once more, at the end: the same message in other bytes.
    edit(data, f"UPDATE version SET base = ? WHERE {FIRST}", base + b"\x10\x01")

    assert verify(data).code == 0


def test_a_number_that_is_taken_twice(data: Path, verify: Verify) -> None:
    edit(data, f"UPDATE version SET number = 22 WHERE {is_version(3)}")
    index = ask(
        data,
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'version' "
        "AND sql LIKE 'CREATE UNIQUE%'",
    )
    edit(data, f'DROP INDEX "{index}"; UPDATE version SET number = 2 WHERE {is_version(22)}')

    verify(data).check("asset", ASSET, "version 2 comes after version 2")


def test_a_number_that_was_left_out(data: Path, verify: Verify) -> None:
    edit(data, f"DELETE FROM version WHERE {SECOND}")

    verify(data).check("asset", ASSET, "version 3 comes after version 1")


def test_two_versions_in_production(data: Path, verify: Verify) -> None:
    edit(data, f"UPDATE version SET stage = 4 WHERE {is_version(4)}")

    verify(data).check("asset", ASSET, "2 of its versions are in production")
    assert ask(data, f"SELECT COUNT(*) FROM asset WHERE {IS_ASSET}") == 1
