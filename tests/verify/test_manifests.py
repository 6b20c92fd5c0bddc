"""Each way in which a manifest's rows can be wrong is found, and named."""

from pathlib import Path

import pytest
from tests.services.wire import digest, manifest
from tests.verify.conftest import Verify, edit
from tests.verify.life import WEIGHTS, blob_file, is_version

TEXT = manifest({"model.bin": WEIGHTS, "sub/card.md": b"a model\n"})
NAME = digest(TEXT)
IS_IT = f"id = (SELECT manifest_id FROM version WHERE {is_version(1)})"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f"UPDATE manifest SET size = size + 1 WHERE {IS_IT}", "its files have"),
        (f"UPDATE manifest SET checked_files = 1 WHERE {IS_IT}", "has 2 files, not 1"),
        (f"UPDATE manifest SET file_count = 3 WHERE {IS_IT}", "sealed with 2 of 3 files checked"),
        (f"UPDATE manifest SET file_count = 3 WHERE {IS_IT}", "its text has 2 lines, not 3"),
        (f"UPDATE manifest SET sealed = 0 WHERE {IS_IT}", "not sealed with 2 of 2"),
        (f"UPDATE manifest SET blob_id = 1 WHERE {IS_IT}", "its blob is sha256:"),
        (f"UPDATE manifest SET blob_id = 99 WHERE {IS_IT}", "its blob is not there"),
        ("DELETE FROM manifest_file WHERE path = 'sub/card.md'", "has 1 files, not 2"),
        ("UPDATE manifest_file SET path = 'x' WHERE path = 'sub/card.md'", "line 2 of its text"),
        ("UPDATE manifest_file SET blob_id = 1 WHERE path = 'model.bin'", "line 1 of its text"),
    ],
)
def test_a_wrong_row(data: Path, verify: Verify, sql: str, words: str) -> None:
    edit(data, sql)

    verify(data).check("manifest", NAME, words)


def test_a_row_more_than_there_are_lines(data: Path, verify: Verify) -> None:
    edit(
        data,
        f"INSERT INTO manifest_file SELECT id, 'zoo', 1 FROM manifest WHERE {IS_IT}",
    )

    verify(data).check("manifest", NAME, "line 2 of its text is not its file 2")


def test_a_text_that_can_not_be_read(data: Path, verify: Verify) -> None:
    blob_file(data, TEXT).unlink()

    verified = verify(data)

    verified.check("manifest", NAME, "its text can't be read")
    verified.check("blob", NAME, "is missing")


def test_a_text_that_is_none_of_a_manifest(data: Path, verify: Verify) -> None:
    other = digest(WEIGHTS).removeprefix("sha256:")
    edit(
        data,
        f"UPDATE manifest SET digest = x'{other}', blob_id = (SELECT id FROM blob WHERE "
        f"digest = x'{other}') WHERE {IS_IT}",
    )

    verify(data).check("manifest", digest(WEIGHTS), "its text is none of a manifest: line 1")


def test_a_manifest_that_is_half_sealed_is_whole(data: Path, verify: Verify) -> None:
    edit(data, "INSERT INTO scope (name) VALUES ('namespaces/later')")
    edit(
        data,
        "INSERT INTO manifest (scope_id, operation, digest, blob_id, file_count, checked_files, "
        "size, sealed, fence, lease_us) SELECT (SELECT MAX(id) FROM scope), 'x', digest, blob_id, "
        f"2, 1, {len(WEIGHTS)}, 0, 1, 0 FROM manifest WHERE {IS_IT}",
    )
    edit(
        data,
        "INSERT INTO manifest_file SELECT MAX(manifest.id), path, manifest_file.blob_id "
        "FROM manifest, manifest_file WHERE path = 'model.bin' AND manifest_id = "
        f"(SELECT id FROM manifest WHERE {IS_IT})",
    )

    assert verify(data).code == 0
