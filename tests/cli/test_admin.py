"""`modelkeep admin verify`, as people and scripts see it."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.running import run_server

from modelkeep.cli import extras
from modelkeep_server import offline as checks


@pytest.fixture
def data(tmp_path: Path, folder: Path, offline: Run) -> Path:
    """The folder of a server that was stopped."""
    with run_server(tmp_path / "data") as server:
        assert offline("push", "churn", folder, "--url", server.address).code == 0
    return tmp_path / "data"


def test_a_whole_folder_is_said_to_be(offline: Run, data: Path) -> None:
    shallow = offline("admin", "verify", "--data", data)
    deep = offline("admin", "verify", "--data", data, "--read-data")

    assert (shallow.code, shallow.err) == (deep.code, deep.err) == (0, "")
    assert shallow.out == (
        "checked  1 assets, 1 versions, 1 manifests, 3 blobs, 2 events; "
        "read no bytes (--read-data does)\n"
        "whole: all is as it should be\n"
    )
    assert "; read 7.0 KiB\n" in deep.out


def test_no_folder_is_a_wrong_command_line(offline: Run) -> None:
    refused = offline("admin", "verify", "--data", "")

    assert (refused.code, refused.out) == (2, "")
    assert "--data is empty" in refused.err


def test_the_folder_may_be_named_by_the_servers_variable(
    offline: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKEEP_DATA", str(data))

    assert offline("admin", "verify", "--json").json["data"] == str(data)


def test_orphans_are_listed_and_called_harmless(offline: Run, data: Path) -> None:
    (data / "staging" / ("0" * 32)).write_bytes(b"12345")

    ran = offline("admin", "verify", "--data", data)

    assert ran.code == 1
    assert ran.out.startswith(f"orphan   staging/{'0' * 32} (5 B)\nchecked  ")
    assert ran.out.endswith(
        "whole: 1 file that nothing refers to is harmless; nothing need be done\n"
    )


def test_of_much_damage_the_first_hundred_are_told(offline: Run, data: Path) -> None:
    for number in range(123):
        (data / f"stranger-{number:03}\n\x1b[2J").touch()

    ran = offline("admin", "verify", "--data", data)
    report = offline("admin", "verify", "--data", data, "--json").json

    lines = ran.out.splitlines()
    assert ran.code == 2
    assert lines[0] == (
        r"damage   stranger stranger-000\n\x1b[2J: is none of modelkeep's; move it out of the "
        "data folder"
    )
    assert lines[100] == "…        and 23 more; --json has them"
    assert lines[-1].startswith("damaged: 123 findings; keep a copy of the folder as it is")
    assert report["damage_count"] == len(report["damage"]) == 123


def test_wrong_usage_is_told_without_a_report(offline: Run) -> None:
    ran = offline("admin", "verify", "--deep", "--json")

    assert ran.code == 2
    assert "modelkeep admin verify: " in ran.problem


def test_without_the_servers_parts_nothing_can_be_told(
    offline: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)

    ran = offline("admin", "verify", "--data", data)

    assert ran.code == 3
    assert ran.problem.endswith("is not installed: pip install 'modelkeep[server]'")


def test_a_fault_of_its_own_is_no_verdict(
    offline: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "x")

    monkeypatch.setattr(checks, "check", fail)

    ran = offline("admin", "verify", "--data", data)

    assert ran.code == 3
    assert ran.problem == "modelkeep: x: Input/output error"
