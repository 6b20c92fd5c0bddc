"""Folders that a real server has used, to be broken by hand."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.verify.life import live

import modelkeep.cli


@dataclass(frozen=True)
class Verified:
    """What `modelkeep admin verify` said."""

    code: int
    report: dict[str, Any]
    problem: str

    def damage(self, what: str, resource: str) -> list[str]:
        """Tell what is damaged about a thing."""
        return [
            finding["text"]
            for finding in self.report["damage"]
            if (finding["what"], finding["resource"]) == (what, resource)
        ]

    def check(self, what: str, resource: str, words: str) -> None:
        """Hold it to having found something, and named it."""
        assert self.code == 2
        assert any(words in text for text in self.damage(what, resource)), self.report["damage"]


Verify = Callable[..., Verified]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Verifies a folder, its bytes too."""
    monkeypatch.delenv("MODELKEEP_DEBUG", raising=False)

    def run(data: Path, *options: str) -> Verified:
        given = options or ("--read-data",)
        code = modelkeep.cli.main(["admin", "verify", "--data", str(data), "--json", *given])
        said = capsys.readouterr()
        return Verified(code, json.loads(said.out) if said.out else {}, said.err)

    return run


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nobody changes."""
    path = tmp_path_factory.mktemp("lived") / "data"
    live(path)
    return path


@pytest.fixture
def data(lived: Path, tmp_path: Path) -> Path:
    """A folder to be broken."""
    return Path(shutil.copytree(lived, tmp_path / "data"))


def edit(data: Path, sql: str, *values: object) -> None:
    """Change rows by hand, at least one, whatever refers to them."""
    with closing(apsw.Connection(str(data / "modelkeep.db"))) as connection:
        connection.execute(sql, values)
        assert connection.total_changes(), sql


def ask(data: Path, sql: str, *values: object) -> Any:
    """Answer the first value of a query."""
    with closing(apsw.Connection(str(data / "modelkeep.db"))) as connection:
        return next(connection.execute(sql, values))[0]
