"""`docs/reference/cli.md` says what the commands do, and no more."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import modelkeep
from modelkeep.cli import problems
from modelkeep.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text()
COMMON = {"--url", "--quiet", "-q", "--help", "-h", "--version"}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, one in command.commands.items():
        yield from _commands(one, f"{name} {word}")


COMMANDS = dict(_commands(typer.main.get_command(app), "modelkeep"))


def _section(title: str) -> str:
    """Give what is below a heading, up to the next."""
    match = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no section {title!r}"
    return match[1]


def _rows(text: str) -> list[str]:
    """Give the first cells of a table's rows, less its head."""
    return [row.split(" | ")[0].removeprefix("| ") for row in re.findall(r"^\| `.*$", text, re.M)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name: str) -> None:
    section = _section(f"`{name}`")
    options = {
        option
        for parameter in COMMANDS[name].params
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    common = COMMON if "--json" in options else COMMON - {"--url"}

    documented = set(re.findall(r"--?[a-z][a-z-]*", " ".join(_rows(section))))

    assert documented == options - common


def test_no_command_is_documented_that_is_not_there() -> None:
    assert re.findall(r"^### `(modelkeep .*)`$", PAGE, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_is_sentences(name: str) -> None:
    texts = [COMMANDS[name].help, *(one.help for one in COMMANDS[name].params)]

    for text in filter(None, texts):
        assert text.rstrip().endswith(".")


@pytest.mark.parametrize(
    ("title", "handle"),
    [
        ("Version", modelkeep.Version),
        ("Input", modelkeep.Input),
        ("Recipe", modelkeep.Recipe),
        ("Asset", modelkeep.Asset),
        ("Evaluation", modelkeep.Evaluation),
        ("Alias", modelkeep.Alias),
        ("File", modelkeep.File),
        ("Diff", modelkeep.Diff),
        ("Event", modelkeep.Event),
        ("Namespace", modelkeep.Namespace),
        ("Cache entry", modelkeep.CacheEntry),
        ("Operation", modelkeep.Operation),
    ],
)
def test_every_field_of_json_is_documented(title: str, handle: Any) -> None:
    fields = [f"`{field.name}`" for field in dataclasses.fields(handle)]

    assert _rows(_section(title)) == fields


def test_every_exit_code_is_documented() -> None:
    codes = [0, problems.FAILED, problems.USAGE, problems.STOPPED, problems.UNREAD]

    assert _rows(_section("Exit codes")) == [f"`{code}`" for code in codes]
