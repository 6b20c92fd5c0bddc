"""`modelkeep evaluate` and `evaluations`, as people and scripts use them."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run

ELSEWHERE = f"sha256:{'a' * 64}"


@pytest.fixture
def pushed(do: Run, folder: Path) -> None:
    do("push", "rows", folder, "--kind", "dataset")
    for _ in range(2):
        do("push", "churn", folder)


def test_what_was_measured_becomes_a_table(do: Run, pushed: None) -> None:
    said = do(
        "evaluate", "churn:1", "--metric", "auc=0.93", "--on", "rows", "--measured", "2026-03-03"
    )
    do("evaluate", "churn:2", "--metric", "auc=0.95", "--metric", "loss=0.1")
    do(
        "evaluate",
        "churn:2",
        "--slice",
        "a:b:auc=0.5",
        "--slice",
        "FR:auc=0.9",
        "--slice",
        "FR:f1=1",
    )

    assert said.err == "evaluation 1 of default/churn:1 is kept: auc 0.93\n"
    rows = [line.split() for line in do("evaluations", "churn").out.splitlines()]
    assert rows[0] == ["VERSION", "MEASURED", "WHO", "ON", "auc", "f1", "loss"]
    assert [(row[0], row[-3:]) for row in rows[1:]] == [
        ("default/churn:2", ["-", "-", "-"]),
        ("a:b", ["0.5", "-", "-"]),
        ("FR", ["0.9", "1.0", "-"]),
        ("default/churn:2", ["0.95", "-", "0.1"]),
        ("default/churn:1", ["0.93", "-", "-"]),
    ]
    assert rows[-1][1] == "2026-03-03"
    assert rows[-1][-4] == "default/rows:1"


def test_of_one_version_and_of_some_metrics(do: Run, pushed: None) -> None:
    do("evaluate", "churn:1", "--metric", "auc=0.93", "--metric", "loss=0.2")
    do("evaluate", "churn:2", "--metric", "auc=0.95")

    rows = do("evaluations", "churn:1", "--metric", "loss").out.splitlines()

    assert rows[0].split()[-2:] == ["ON", "loss"]
    assert [row.split()[-1] for row in rows[1:]] == ["0.2"]


def test_json_is_what_the_registry_answers(do: Run, pushed: None) -> None:
    made = do(
        *("evaluate", "churn", "--metric", "auc=0.5", "--json", "--note", "weekly"),
        *("--on", "https://rows.example/1", "--digest", ELSEWHERE),
    ).json

    assert made["data_set"]["uri"] == "https://rows.example/1"
    assert (made["number"], made["note"], made["metrics"]) == (1, "weekly", {"auc": 0.5})
    assert do("evaluations", "churn", "--json").json == [made]


def test_no_evaluations_are_said_to_be_none(do: Run, pushed: None) -> None:
    assert do("evaluations", "churn").err == "no evaluations\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing was measured"),
        (("--metric", "auc"), "not of the form K=V"),
        (("--metric", "auc=high"), "not a number"),
        (("--slice", "auc=1"), "not of the form NAME:K=V"),
        (("--slice", "FR:auc=1", "--slice", "FR:auc=2"), "given twice"),
        (("--metric", "auc=1", "--digest", ELSEWHERE), "name that with --on URI"),
        (("--metric", "auc=1", "--measured", "soon"), "is not a time"),
    ],
)
def test_a_command_line_that_cannot_be_meant(
    run: Run, pushed: None, arguments: tuple[str, ...], words: str
) -> None:
    ran = run("evaluate", "churn", *arguments)

    assert ran.code == 2
    assert words in ran.problem
