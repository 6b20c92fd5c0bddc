"""`modelkeep admin gc`, `operations` and `cancel`, as people and scripts see them."""

import re
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.collecting import age
from tests.running import RunningServer


@pytest.fixture
def purged(do: Run, server: RunningServer, folder: Path) -> None:
    """A version of which the bytes can be collected."""
    do("push", "churn", folder)
    do("delete", "churn:1")
    do("purge", "churn:1", "--reason", "test")
    age(server)


@pytest.mark.usefixtures("purged")
def test_what_would_be_deleted_is_told_first(do: Run) -> None:
    looked = do("admin", "gc", "--dry-run")
    told = do("admin", "gc")
    again = do("admin", "gc")

    assert looked.err == (
        "3 blobs (7.0 KiB) would be deleted; 0 versions would be purged that could not be "
        "undeleted any more\n"
    )
    assert told.err.startswith("3 blobs (7.0 KiB) deleted; 0 versions purged")
    assert again.err.startswith("0 blobs (0 B) deleted")


@pytest.mark.usefixtures("purged")
def test_scripts_get_the_counts(do: Run) -> None:
    operation = do("admin", "gc", "--json").json

    assert (operation["kind"], operation["done"], operation["error"]) == (
        "collect-garbage",
        True,
        "",
    )
    assert operation["progress"]["deleted_blobs"] == 3


def test_nobody_need_wait(do: Run) -> None:
    asked = do("admin", "gc", "--no-wait")

    assert re.match(r"operations/\w+ goes on; `modelkeep admin operations` tells", asked.err)


@pytest.mark.usefixtures("purged")
def test_operations_are_listed(do: Run) -> None:
    do("admin", "gc", "--dry-run")

    table = do("admin", "operations").out.splitlines()
    listed = do("admin", "operations", "--json").json

    assert "collect-garbage (dry run)" in table[1]
    assert "condemned_blobs 3" in table[1]
    assert [one["kind"] for one in listed] == ["collect-garbage", "seal"]


def test_an_operation_is_cancelled_by_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would never come to its end.
    monkeypatch.setattr("modelkeep_server.domain.collection.rows.versions", lambda *_: [0])
    asked = run("admin", "gc", "--dry-run", "--no-wait", "--json").json

    cancelled = run("admin", "cancel", asked["name"].removeprefix("operations/"))

    assert cancelled.code == 0
    assert re.search("(ends after the step it is at|has ended)\n$", cancelled.err)


def test_an_operation_that_is_not_there(run: Run) -> None:
    ran = run("admin", "cancel", "nothing")

    assert ran.code == 1
    assert "operations/nothing does not exist" in ran.problem
