"""Each way in which the log can be wrong is found, and named."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.verify.conftest import Verify, ask, edit

from modelkeep.v1 import event_pb2

MIDDLE = 9


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            f"UPDATE event SET leaf = CAST(leaf || x'00' AS BLOB) WHERE position = {MIDDLE}",
            "what its hash says",
        ),
        (f"UPDATE event SET leaf_hash = x'00' WHERE position = {MIDDLE}", "what its hash says"),
        (f"UPDATE event SET event_id = 'x' WHERE position = {MIDDLE}", "time or id than its row"),
        (f"UPDATE event SET log_us = log_us + 1 WHERE position = {MIDDLE}", "time or id than"),
        (f"UPDATE event SET log_us = 5 WHERE position = {MIDDLE}", "older than the one before"),
        (f"DELETE FROM event WHERE position = {MIDDLE - 1}", "what was between them is missing"),
        (f"UPDATE event SET reason = 'x' WHERE position = {MIDDLE}", "its reason is not what"),
        (f"UPDATE event_body SET after = x'' WHERE position = {MIDDLE}", "was after is not what"),
        (f"UPDATE event_body SET after = NULL WHERE position = {MIDDLE}", "was after is not what"),
        (f"UPDATE event_body SET before = x'' WHERE position = {MIDDLE}", "was before is not what"),
        (f"UPDATE event_body SET after_salt = x'' WHERE position = {MIDDLE}", "was after is not"),
        (f"DELETE FROM event_body WHERE position = {MIDDLE}", "and 0 bodies"),
        (f"UPDATE event_body SET ordinal = ordinal + 5 WHERE position = {MIDDLE}", "bodies"),
        (f"DELETE FROM event_scope WHERE position = {MIDDLE}", "is not found under namespaces/"),
    ],
)
def test_a_wrong_row(data: Path, verify: Verify, sql: str, words: str) -> None:
    edit(data, sql)

    verify(data).check("event", f"events/{MIDDLE}", words)


def test_bodies_without_an_event(data: Path, verify: Verify) -> None:
    edit(data, "INSERT INTO event_body (position, ordinal) VALUES (99, 0)")

    verify(data).check("event", "events/99", "has bodies, and is not there")


def test_an_event_under_a_resource_that_it_does_not_concern(data: Path, verify: Verify) -> None:
    edit(data, "INSERT INTO event_scope (scope, position) VALUES ('namespaces/x', 1)")

    verify(data).check("event", "events", "are found under")


def test_an_id_that_two_events_have(data: Path, verify: Verify) -> None:
    index = ask(
        data,
        "SELECT name FROM sqlite_master WHERE tbl_name = 'event' AND sql LIKE 'CREATE UNIQUE%'",
    )
    first = ask(data, "SELECT event_id FROM event WHERE position = 1")
    edit(data, f'DROP INDEX "{index}"; UPDATE event SET event_id = ? WHERE position < 3', first)

    verify(data).check("event", first, "more than one event has this id")


def test_a_kept_answer_of_no_event(data: Path, verify: Verify) -> None:
    request_id = ask(data, "SELECT request_id FROM request")
    edit(data, "UPDATE request SET event_id = 'x'")

    verify(data).check("answer", request_id, "the event x of this")


def _rewrite(data: Path, position: int, change: Callable[[event_pb2.EventRecord], None]) -> None:
    """Write an event anew, with a hash that is right."""
    leaf = event_pb2.LogLeaf.FromString(
        ask(data, "SELECT leaf FROM event WHERE position = ?", position)
    )
    record = event_pb2.EventRecord.FromString(leaf.event)
    change(record)
    leaf.event = record.SerializeToString()
    _store(data, position, leaf.SerializeToString())


def _store(data: Path, position: int, leaf: bytes) -> None:
    edit(
        data,
        "UPDATE event SET leaf = ?, leaf_hash = ? WHERE position = ?",
        leaf,
        hashlib.sha256(b"\0" + leaf).digest(),
        position,
    )


def test_a_leaf_that_is_none(data: Path, verify: Verify) -> None:
    _store(data, MIDDLE, b"\xff")

    verify(data).check("event", f"events/{MIDDLE}", "its leaf can't be read")


def test_a_revision_that_was_left_out(data: Path, verify: Verify) -> None:
    def skip(record: event_pb2.EventRecord) -> None:
        record.changes[0].revision += 2

    _rewrite(data, MIDDLE, skip)

    verify(data).check("event", f"events/{MIDDLE}", "revision 3, after revision 0")


def test_a_change_that_is_another_resources(data: Path, verify: Verify) -> None:
    def rename(record: event_pb2.EventRecord) -> None:
        record.changes[-1].resource += "0"

    _rewrite(data, MIDDLE, rename)

    verified = verify(data)

    assert verified.code == 2
    assert any("no event says" in found["text"] for found in verified.report["damage"])


def test_a_change_of_an_unknown_type(data: Path, verify: Verify) -> None:
    def retype(record: event_pb2.EventRecord) -> None:
        record.changes[0].type = "x"

    _rewrite(data, MIDDLE, retype)

    verify(data).check("event", f"events/{MIDDLE}", "can't be read")


def test_an_event_that_was_dropped_as_if_it_had_never_been(data: Path, verify: Verify) -> None:
    last = ask(data, "SELECT MAX(position) FROM event")
    for table in ("event", "event_body", "event_scope"):
        edit(data, f"DELETE FROM {table} WHERE position = {last}")

    verified = verify(data)

    # The last one deleted an asset, and its row still says so.
    verified.check("asset", "namespaces/default/assets/gone", "the log's last is 1")
