"""Each way in which an asset, a namespace or an alias can be wrong is found, and named."""

from pathlib import Path

import pytest
from tests.verify.conftest import Verify, edit
from tests.verify.life import ASSET, IS_ASSET, NAMESPACE, is_alias, is_version

from modelkeep.v1 import alias_pb2, asset_pb2

POINTER = is_alias("production")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE asset SET next_number = 99", "the next number is 99 in its row, and 7"),
        ("UPDATE asset SET latest_number = 2", "its latest version is 2 in its row, and 6"),
        ("UPDATE asset SET version_count = 9", "count of its versions is 9 in its row, and 4"),
        ("UPDATE asset SET size = size + 1", "the bytes it uses are"),
        ("UPDATE asset SET kind = 3", "another kind"),
        ("UPDATE asset SET deleted_us = 1", "deleted at another time"),
        ("UPDATE asset SET folded = folded || 'x'", "another namespace, or under another name"),
        ("UPDATE asset SET namespace_id = 99", "another namespace, or under another name"),
        ("UPDATE asset SET revision = 9", "another name or etag"),
        ("UPDATE asset SET revision = 9", "has revision 9, the log's last is 1"),
        ("UPDATE asset SET message = x'ff'", "its message can't be read"),
        ("UPDATE asset SET deleted_us = 1", "its history does not end where it is now"),
        (f"DELETE FROM asset WHERE {IS_ASSET}", "is not there, but events/"),
        (f"UPDATE asset SET resource = '{ASSET}x' WHERE {IS_ASSET}", "is not there, but events/"),
    ],
)
def test_a_wrong_asset(data: Path, verify: Verify, sql: str, words: str) -> None:
    edit(data, sql)

    verify(data).check("asset", ASSET, words)


def test_an_asset_that_no_event_made(data: Path, verify: Verify) -> None:
    edit(data, f"UPDATE asset SET resource = '{ASSET}x' WHERE {IS_ASSET}")

    verify(data).check("asset", f"{ASSET}x", "no event says that it was made")


def test_a_text_that_no_event_wrote(data: Path, verify: Verify) -> None:
    more = asset_pb2.Asset(display_name="Ours").SerializeToString()
    edit(data, f"UPDATE asset SET message = CAST(message || ? AS BLOB) WHERE {IS_ASSET}", more)

    verify(data).check("asset", ASSET, "is not what events/")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE namespace SET revision = 9", "another name or etag"),
        ("UPDATE namespace SET folded = 'x'", "another name or etag"),
        ("UPDATE namespace SET message = x'ff'", "its message can't be read"),
        (
            "UPDATE namespace SET message = CAST(message || x'1a0178' AS BLOB)",
            "is not what events/1",
        ),
        ("DELETE FROM namespace", "is not there, but events/1"),
    ],
)
def test_a_wrong_namespace(data: Path, verify: Verify, sql: str, words: str) -> None:
    edit(data, sql)

    verify(data).check("namespace", NAMESPACE, words)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f"UPDATE alias SET version_id = 2 WHERE {POINTER}", "another version than its row"),
        (f"UPDATE alias SET version_id = 2 WHERE {POINTER}", "history does not end"),
        (f"UPDATE alias SET version_id = 1 WHERE {POINTER}", "another asset's version"),
        (f"UPDATE alias SET version_id = 99 WHERE {POINTER}", "version that is not there"),
        (f"UPDATE version SET deleted_us = 5 WHERE {is_version(2)}", "which is deleted"),
        (f"UPDATE asset SET deleted_us = 5 WHERE {IS_ASSET}", "which is deleted"),
        (f"UPDATE alias SET revision = 9 WHERE {POINTER}", "another name or etag"),
        (f"UPDATE alias SET revision = 9 WHERE {POINTER}", "moves, not 9"),
        (f"UPDATE alias SET folded = 'x' WHERE {POINTER}", "another name or etag"),
        (f"UPDATE alias SET message = x'ff' WHERE {POINTER}", "its message can't be read"),
        (f"DELETE FROM alias WHERE {POINTER}", "is not there, but events/"),
        (f"DELETE FROM alias_move WHERE {POINTER}", "its history has 0 moves, not 2"),
        (f"UPDATE alias_move SET version_id = NULL WHERE {POINTER}", "history does not end"),
        (f"UPDATE alias_move SET principal = 'x' WHERE {POINTER}", "history does not end"),
    ],
)
def test_a_wrong_alias(data: Path, verify: Verify, sql: str, words: str) -> None:
    edit(data, sql)

    verify(data).check("alias", f"{ASSET}/aliases/production", words)


def test_an_alias_that_no_event_removed(data: Path, verify: Verify) -> None:
    edit(data, f"UPDATE alias SET version_id = NULL WHERE {POINTER}")

    verify(data).check("alias", f"{ASSET}/aliases/production", "is not what events/")


def test_a_mover_that_no_event_names(data: Path, verify: Verify) -> None:
    more = alias_pb2.Alias(updater="principals/x").SerializeToString()
    edit(data, f"UPDATE alias SET message = CAST(message || ? AS BLOB) WHERE {POINTER}", more)

    verify(data).check("alias", f"{ASSET}/aliases/production", "is not what events/")


@pytest.mark.parametrize(
    ("sql", "resource"),
    [
        (
            f"UPDATE alias_move SET position = 1 WHERE {is_alias('champion')}",
            f"{ASSET}/aliases/champion",
        ),
        (
            f"UPDATE alias_move SET log_us = 1 WHERE {is_alias('champion')}",
            f"{ASSET}/aliases/champion",
        ),
        (f"UPDATE stage_move SET position = 1 WHERE {is_version(6)}", f"{ASSET}/versions/6"),
        (f"UPDATE stage_move SET log_us = 1 WHERE {is_version(6)}", f"{ASSET}/versions/6"),
        ("UPDATE asset_move SET position = 1", f"{NAMESPACE}/assets/gone"),
        ("UPDATE asset_move SET log_us = 1", f"{NAMESPACE}/assets/gone"),
    ],
)
def test_a_move_without_its_event(data: Path, verify: Verify, sql: str, resource: str) -> None:
    edit(data, sql)

    verify(data).check("history", resource, "a move has no event of its time")


def test_a_deletion_that_the_history_does_not_know(data: Path, verify: Verify) -> None:
    edit(data, "DELETE FROM asset_move")

    verify(data).check("asset", f"{NAMESPACE}/assets/gone", "its history does not end")
