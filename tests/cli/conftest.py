"""The command line, run in this process against a real server."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.running import RunningServer

import modelkeep.cli


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be one document."""
        return json.loads(self.out)

    @property
    def problem(self) -> str:
        """The one line that says what went wrong."""
        assert self.out == ""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1
        return self.err.strip()


Run = Callable[..., Ran]


@pytest.fixture
def offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command where no registry is."""
    monkeypatch.setenv("MODELKEEP_URL", "127.0.0.1:1")
    monkeypatch.setenv("MODELKEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MODELKEEP_TOKEN", raising=False)
    monkeypatch.delenv("MODELKEEP_DEBUG", raising=False)

    def run(*arguments: object) -> Ran:
        code = modelkeep.cli.main([str(one) for one in arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def run(offline: Run, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command, whatever comes of it."""
    monkeypatch.setenv("MODELKEEP_URL", server.address)
    return offline


@pytest.fixture
def do(run: Run) -> Run:
    """Runs a command that must succeed."""

    def run_well(*arguments: object) -> Ran:
        ran = run(*arguments)
        assert ran.code == 0, ran.err
        return ran

    return run_well


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of two files."""
    made = tmp_path / "out"
    (made / "sub").mkdir(parents=True)
    (made / "model.bin").write_bytes(b"weights" * 1000)
    (made / "sub" / "card.md").write_text("a model\n")
    return made
