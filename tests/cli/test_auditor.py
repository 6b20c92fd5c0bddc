"""Somebody else's programs check the log too: Go's, which its module index is checked with."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from modelkeep import _log_export

SOURCE = Path(__file__).parent / "auditor"

Auditor = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Auditor:
    go = shutil.which("go")
    if go is None:
        pytest.skip("the log is checked by a program in Go, and there is no `go` on PATH")
    program = tmp_path_factory.mktemp("auditor") / "auditor"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=SOURCE, check=True)

    def run(*arguments: object, given: str = "") -> "subprocess.CompletedProcess[str]":
        command = [str(program), *map(str, arguments)]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def exported(do: Run, folder: Path, tmp_path: Path) -> Path:
    for name in ("churn", "fraud", "churn"):
        do("push", name, folder)
    for number in range(20):
        do("alias", "set", f"churn:{number % 2 + 1}", "champion")
    do("audit", "export", tmp_path / "log")
    return tmp_path / "log"


def test_an_export_is_whole_to_others_too(auditor: Auditor, exported: Path) -> None:
    key = (exported / "key").read_text()

    assert auditor("export", exported, key).stderr == ""

    with (exported / "leaves").open("rb") as file:
        leaves = list(_log_export.stored(file))
    leaves[3] += b"\0"
    (exported / "leaves").write_bytes(b"".join(map(_log_export.framed, leaves)))
    assert "not what the checkpoint says" in auditor("export", exported, key).stderr


def test_a_proof_holds_for_others_too(auditor: Auditor, exported: Path, do: Run) -> None:
    key = (exported / "key").read_text()
    for position in (1, 2, 17):
        proof = do("audit", "prove", position, "--size", 19).out
        assert auditor("proof", key, given=proof).stderr == ""

        changed = json.loads(proof)
        changed["index"] += 1
        assert auditor("proof", key, given=json.dumps(changed)).returncode == 1
