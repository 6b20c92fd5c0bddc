"""Each way in which stored bytes can be wrong is found, and named."""

import os
from pathlib import Path

import pytest
from tests.services.wire import MIB, digest
from tests.verify.conftest import Verify, ask, edit
from tests.verify.life import KEPT_SIZE, LATE, WEIGHTS, blob_file


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_missing_file(data: Path, verify: Verify) -> None:
    path = blob_file(data, WEIGHTS)
    path.unlink()

    for option in ("--read-data", "--quiet"):
        verified = verify(data, option)
        assert verified.code == 2
        assert verified.damage("blob", digest(WEIGHTS)) == [
            f"its file {path.relative_to(data)} is missing"
        ]


@pytest.mark.parametrize("size", [0, len(WEIGHTS) - 1, len(WEIGHTS) + 1])
def test_a_file_of_another_size(data: Path, verify: Verify, size: int) -> None:
    path = blob_file(data, WEIGHTS)
    path.chmod(0o600)
    os.truncate(path, size)

    (text,) = verify(data, "--quiet").damage("blob", digest(WEIGHTS))

    assert f"has {size} bytes, not {len(WEIGHTS)}" in text


def test_a_flipped_bit_is_found_when_bytes_are_read(data: Path, verify: Verify) -> None:
    _overwrite(blob_file(data, WEIGHTS), 2 * MIB + 5, bytes([WEIGHTS[2 * MIB + 5] ^ 1]))

    assert verify(data, "--quiet").code == 0
    verified = verify(data)
    assert verified.code == 2
    (text,) = verified.damage("blob", digest(WEIGHTS))
    assert f"is wrong in the block at byte {2 * MIB}" in text
    assert len(verified.report["damage"]) == 1


def test_bytes_that_are_anothers_though_their_checksums_are_right(
    data: Path, verify: Verify
) -> None:
    wrong = digest(b"something else")
    edit(data, "UPDATE blob SET digest = ? WHERE digest = ?", _raw(wrong), _raw(digest(WEIGHTS)))

    (text,) = verify(data).damage("blob", wrong)

    assert f"is that of {digest(WEIGHTS)}" in text


@pytest.mark.parametrize("checksums", [b"", bytes(12), bytes(8)])
def test_wrong_checksums(data: Path, verify: Verify, checksums: bytes) -> None:
    edit(data, "UPDATE blob SET checksums = ? WHERE digest = ?", checksums, _raw(digest(WEIGHTS)))

    assert verify(data).damage("blob", digest(WEIGHTS))


def test_a_row_with_a_key_that_is_none(data: Path, verify: Verify) -> None:
    edit(data, "UPDATE blob SET key = '../../lock' WHERE digest = ?", _raw(digest(WEIGHTS)))

    verified = verify(data)

    assert verified.damage("blob", digest(WEIGHTS))
    assert [orphan["size"] for orphan in verified.report["orphans"]] == [len(WEIGHTS)]


def test_a_file_that_no_row_knows_is_an_orphan(data: Path, verify: Verify) -> None:
    kept = ["blobs/ab/ab" + "0" * 30, "staging/" + "1" * 32]
    for path in kept:
        (data / path).write_bytes(b"12345")

    verified = verify(data)

    assert (verified.code, verified.report["damage"]) == (1, [])
    assert verified.report["orphans"] == [
        {"what": "blob", "path": kept[0], "size": 5},
        {"what": "staged", "path": kept[1], "size": 5},
    ]


@pytest.mark.parametrize("size", [None, 0, KEPT_SIZE - 1])
def test_a_part_of_which_durable_bytes_are_gone(
    data: Path, verify: Verify, size: int | None
) -> None:
    (part,) = (data / "staging").iterdir()
    if size is None:
        part.unlink()
    else:
        os.truncate(part, size)

    verified = verify(data)

    assert verified.code == 2
    assert verified.damage("staged", digest(LATE))


def test_a_part_of_which_nothing_was_durable_need_not_be_there(data: Path, verify: Verify) -> None:
    edit(data, "UPDATE staged_part SET durable_size = 0")
    next((data / "staging").iterdir()).unlink()

    assert verify(data).code == 0


@pytest.mark.parametrize("durable", [-1, len(LATE) + 1])
def test_a_part_with_more_durable_bytes_than_it_has(
    data: Path, verify: Verify, durable: int
) -> None:
    edit(data, "UPDATE staged_part SET durable_size = ?", durable)

    assert verify(data).damage("staged", digest(LATE))


@pytest.mark.parametrize(
    "path",
    [
        "notes.txt",
        "modelkeep.db.old",
        "staging/notes.txt",
        "blobs/notes.txt",
        "blobs/00/notes.txt",
        "blobs/00/" + "1" * 32,
        "blobs/zz/" + "1" * 32,
        "more/notes.txt",
    ],
)
def test_what_lies_outside_the_layout(data: Path, verify: Verify, path: str) -> None:
    (data / path).parent.mkdir(exist_ok=True)
    (data / path).write_bytes(b"x")

    verified = verify(data, "--quiet")

    assert verified.code == 2
    (found,) = verified.report["damage"]
    assert found["what"] == "stranger"
    assert path.startswith(found["resource"])


def test_a_link_is_outside_the_layout(data: Path, verify: Verify) -> None:
    (data / "staging" / ("2" * 32)).symlink_to(data / "lock")

    assert verify(data).damage("stranger", "staging/" + "2" * 32)


def test_a_copy_kept_before_an_upgrade_belongs_to_the_layout(data: Path, verify: Verify) -> None:
    (data / "modelkeep.db.0001_initial.20260303T101112.123456Z").touch()
    (data / "lost+found").mkdir()

    assert verify(data).code == 0


def test_a_database_with_a_broken_page(data: Path, verify: Verify) -> None:
    root = ask(data, "SELECT rootpage FROM sqlite_master WHERE name = 'event_scope'")
    page = ask(data, "PRAGMA page_size")
    _overwrite(data / "modelkeep.db", (root - 1) * page, b"\xff" * 64)

    verified = verify(data, "--quiet")

    assert verified.code == 2
    assert verified.damage("database", "modelkeep.db")
    assert verified.report["checked"]["versions"] == 8


@pytest.mark.parametrize("size", [100, 5_000, 50_000])
def test_a_database_that_was_cut_off(data: Path, verify: Verify, size: int) -> None:
    os.truncate(data / "modelkeep.db", size)

    verified = verify(data)

    assert verified.code == 2
    assert verified.damage("database", "modelkeep.db")


def test_a_database_that_is_none(data: Path, verify: Verify) -> None:
    (data / "modelkeep.db").write_bytes(b"not a database, but long enough to be one" * 100)

    assert verify(data).damage("database", "modelkeep.db")


def test_a_row_that_refers_to_none(data: Path, verify: Verify) -> None:
    edit(data, "UPDATE blob_holder SET scope_id = 99 WHERE blob_id = 1")

    assert "scope" in verify(data).damage("database", "modelkeep.db")[0]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE version SET base = 'text'",
        "UPDATE version SET tail = NULL",
        "UPDATE asset SET next_number = 'x'",
        "UPDATE blob SET digest = CAST(digest AS TEXT)",
        "UPDATE alias SET name = CAST(x'ff' AS TEXT) WHERE id = 1",
        "UPDATE event SET leaf = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_value_that_is_of_another_kind(data: Path, verify: Verify, sql: str) -> None:
    edit(
        data,
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = REPLACE(sql, "
        "'NOT NULL', '') WHERE name = 'version'",
    )
    edit(data, sql)

    verified = verify(data)

    assert verified.code == 2
    assert verified.damage("database", "modelkeep.db")


def _raw(name: str) -> bytes:
    return bytes.fromhex(name.removeprefix("sha256:"))
