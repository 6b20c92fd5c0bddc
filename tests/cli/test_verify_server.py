"""`modelkeep admin verify --server`, as people and scripts see it."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.collecting import files
from tests.running import RunningServer

from modelkeep import Client
from modelkeep.cli import extras
from modelkeep_server.domain import verification
from modelkeep_server.domain.operations import Step
from modelkeep_server.domain.turns import Turn
from modelkeep_server.records.operations import StoredOperation


def test_a_whole_registry_is_said_to_be(do: Run, folder: Path) -> None:
    do("push", "churn", folder)

    shallow = do("admin", "verify", "--server")
    deep = do("admin", "verify", "--server", "--read-data", "--subset", "1/1")

    assert shallow.err == deep.err == ""
    assert shallow.out == (
        "checked  1 assets, 1 versions, 1 manifests, 3 blobs, 2 events; "
        "read no bytes (--read-data does)\n"
        "whole: all is as it should be\n"
    )
    assert "; read 7.0 KiB\n" in deep.out


def test_damage_is_told_with_exit_code_2(
    do: Run, run: Run, folder: Path, server: RunningServer
) -> None:
    do("push", "churn", folder)
    (key, *_) = files(server.data)
    (server.data / "blobs" / key[:2] / key).unlink()

    told = run("admin", "verify", "--server")
    report = run("admin", "verify", "--server", "--json")

    assert (told.code, report.code) == (2, 2)
    assert told.out.startswith("damage   blob sha256:")
    assert told.out.endswith(
        "damaged: 1 finding; keep a copy of the folder as it is, then restore a backup\n"
    )
    operation = do("admin", "operations", "--json").json[0]
    assert report.json["operation"] == operation["name"]
    assert report.json["damage"] == operation["findings"]
    assert (report.json["damage_count"], report.json["orphan_count"]) == (1, 0)
    assert report.json["checked"]["blobs"] == 3


def test_of_much_damage_the_first_hundred_are_told(run: Run, server: RunningServer) -> None:
    for number in range(123):
        (server.data / f"stranger-{number:03}\n\x1b[2J").touch()

    ran = run("admin", "verify", "--server")

    lines = ran.out.splitlines()
    assert ran.code == 2
    assert len([line for line in lines if line.startswith("damage   stranger")]) == 100
    assert "…        and 23 more" in lines
    assert "\x1b" not in ran.out


def test_a_registry_that_can_not_be_reached_can_not_be_told_of(offline: Run) -> None:
    ran = offline("admin", "verify", "--server")

    assert ran.code == 3
    assert "[SERVER_UNREACHABLE]" in ran.problem


def test_a_check_that_is_cancelled_can_not_tell(
    run: Run, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = verification.Verification.step

    def cancelled(
        job: verification.Verification, operation: StoredOperation, turn: Turn
    ) -> Step | None:
        with Client(server.address) as registry:
            registry.cancel_operation(operation.name)
        return really(job, operation, turn)

    monkeypatch.setattr(verification.Verification, "step", cancelled)

    ran = run("admin", "verify", "--server")

    assert ran.code == 3
    assert "ended before its time: it was cancelled" in ran.problem


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--subset", "9/2"), "subset must be N/T"),
        (("--backup", "/backup"), "--server and --backup don't go together"),
    ],
)
def test_a_wrong_command_line(run: Run, given: tuple[str, ...], said: str) -> None:
    ran = run("admin", "verify", "--server", *given)

    assert ran.code == 2
    assert said in ran.problem


def test_it_needs_no_server_on_this_machine(do: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)

    assert do("admin", "verify", "--server").out.endswith("whole: all is as it should be\n")
