"""Nothing that is printed can move a cursor, reorder a line or hide in it."""

import json

import pytest
from tests.cli.conftest import Run

import modelkeep
from modelkeep.cli import output

HOSTILE = "a\x1b[2Jb\u202ec\u2028d\x9be\x7ff\r\ng\u00adh"


def test_a_hostile_text_is_escaped() -> None:
    assert output.clean(HOSTILE) == (r"a\x1b[2Jb\u202ec\u2028d\x9be\x7ff\r\ng\xadh")


def test_half_a_character_is_escaped() -> None:
    assert output.clean("\ud800").isascii()


def test_an_ordinary_text_is_left_alone() -> None:
    text = "Ünïcødé 日本　語 \u00a0 👩\u200d💻"

    assert output.clean(text) == text


def test_json_is_ascii_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    output.json_line({"text": HOSTILE})

    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed[:-1].isprintable()
    assert json.loads(printed) == {"text": HOSTILE}


def test_a_table_is_as_wide_as_its_texts(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A", "B", "C"), [("日本", "x", ""), ("a", "\x1b", "z")])

    assert capsys.readouterr().out == "A     B     C\n日本  x\na     \\x1b  z\n"


def test_a_version_of_a_stranger_shows_no_controls(do: Run, folder: object) -> None:
    with modelkeep.Client() as registry:
        registry.push("churn", str(folder), description="one\ntwo\u202e", note="\u202ex")

    for command in (["show", "churn"], ["list", "churn"], ["history", "churn"]):
        assert "\u202e" not in do(*command).out
    assert "  description  one\n               two\\u202e\n" in do("show", "churn").out


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1536 * 1024, "1.5 MiB"),
        (2**40, "1.0 TiB"),
    ],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert output.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (3.0, "3.0"), (True, "true"), ("x", "x"), ("3", '"3"'), ("", '""'), (None, "-")],
)
def test_a_value_shows_its_type(value: object, text: str) -> None:
    assert output.value(value) == text
