"""The main job, as people type it."""

import hashlib
from pathlib import Path

import pytest
from tests.cli.conftest import Run

import modelkeep


def test_a_pushed_folder_is_pulled_as_it_was(do: Run, folder: Path, tmp_path: Path) -> None:
    pushed = do("push", "churn", folder, "--json").json
    pulled = do("pull", "churn", tmp_path / "dest", "--json").json

    assert pushed["name"] == pulled["name"] == "namespaces/default/assets/churn/versions/1"
    assert pulled["path"] == str(tmp_path / "dest")
    assert (tmp_path / "dest/model.bin").read_bytes() == b"weights" * 1000
    assert (tmp_path / "dest/sub/card.md").read_text() == "a model\n"


def test_a_push_keeps_what_it_was_told(do: Run, folder: Path) -> None:
    do("push", "fraud-data", folder / "model.bin", "--kind", "dataset")
    version = do(
        *("push", "churn", folder, "--json", "--note", "first", "--alias", "champion"),
        *(
            "--param",
            "depth=3",
            "--param",
            "rate=0.5",
            "--param",
            "fast=true",
            "--param",
            "loss=l2",
        ),
        *("--param", 'text="7"', "--metric", "auc=0.9", "--label", "team=fraud"),
        *("--input", "fraud-data=evaluated-on", "--description", "A try", "--display-name", "One"),
        "--no-recipe",
    ).json

    assert version["params"] == {"depth": 3, "rate": 0.5, "fast": True, "loss": "l2", "text": "7"}
    assert version["metrics"] == {"auc": 0.9}
    assert version["labels"] == {"team": "fraud"}
    assert version["aliases"] == ["champion"]
    assert (version["change_note"], version["description"]) == ("first", "A try")
    assert version["display_name"] == "One"
    assert version["recipe_digest"] == ""
    assert [(one["version"], one["role"]) for one in version["inputs"]] == [
        ("namespaces/default/assets/fraud-data/versions/1", "evaluated-on")
    ]


def test_the_same_content_makes_no_version_if_that_is_asked_for(do: Run, folder: Path) -> None:
    do("push", "churn", folder)

    assert do("push", "churn", folder, "--if-changed", "--json").json["number"] == 1
    assert do("push", "churn", folder, "--json").json["number"] == 2


def test_words_go_to_standard_error_and_can_be_silenced(do: Run, folder: Path) -> None:
    told = do("push", "churn", folder)
    silent = do("--quiet", "push", "churn", folder)

    assert told.out == ""
    assert told.err == "default/churn:1 is kept: 2 files, 6.8 KiB\n"
    assert (silent.out, silent.err) == ("", "")


def test_a_push_of_what_may_be_there_does_not_say_that_it_is_new(do: Run, folder: Path) -> None:
    first = do("push", "churn", folder, "--if-changed")
    same = do("push", "churn", folder, "--if-changed", "--alias", "best")
    (folder / "more").write_bytes(b"more")
    other = do("push", "churn", folder, "--if-changed")

    assert first.err == "default/churn:1 has these files: 2 files, 6.8 KiB\n"
    assert same.err == "default/churn:1 has these files: 2 files, 6.8 KiB, @best\n"
    assert other.err == "default/churn:2 has these files: 3 files, 6.8 KiB\n"


def test_moving_production_moves_the_stages(do: Run, folder: Path) -> None:
    do("push", "churn", folder)
    do("push", "churn", folder)
    do("alias", "set", "churn:1", "production")

    moved = do("alias", "set", "churn:2", "production")

    assert moved.err == "default/churn@production is default/churn:2\n"
    stages = {one["number"]: one["stage"] for one in do("list", "churn", "--json").json}
    assert stages == {1: "archived", 2: "production"}
    assert do("alias", "remove", "churn@production", "--json").json["version"] == ""


def test_the_version_in_production_at_a_time_is_one_call(
    do: Run, folder: Path, tmp_path: Path
) -> None:
    do("push", "churn", folder, "--alias", "production")
    then = do("history", "churn", "--json").json[0]["log_time"]
    do("push", "churn", folder, "--alias", "production")

    assert do("show", "churn@production", "--at", then, "--json").json["number"] == 1
    assert do("show", "churn@production", "--at", "0 seconds ago", "--json").json["number"] == 2
    pulled = do("pull", "churn@production", tmp_path / "dest", "--at", then, "--json").json
    assert pulled["number"] == 1


def test_one_file_or_folder_of_a_version_is_pulled(do: Run, folder: Path, tmp_path: Path) -> None:
    do("push", "churn", folder)

    do("pull", "churn:1/model.bin", tmp_path / "one")
    do("pull", "churn@latest/sub", tmp_path / "sub")

    assert [path.name for path in (tmp_path / "one").iterdir()] == ["model.bin"]
    assert [path.name for path in (tmp_path / "sub").rglob("*.md")] == ["card.md"]


def test_a_pull_replaces_another_version_only_by_force(
    do: Run, run: Run, folder: Path, tmp_path: Path
) -> None:
    do("push", "churn", folder)
    (folder / "model.bin").write_text("other")
    do("push", "churn", folder)
    do("pull", "churn:1", tmp_path / "dest")
    do("pull", "churn:1", tmp_path / "dest")

    refused = run("pull", "churn:2", tmp_path / "dest")
    do("pull", "churn:2", tmp_path / "dest", "--force")

    assert refused.code == 1
    assert "or replace it with --force [DEST_NOT_EMPTY]" in refused.problem
    assert (tmp_path / "dest/model.bin").read_text() == "other"


def test_a_manifest_is_what_sha256sum_writes(do: Run, folder: Path) -> None:
    digest = do("push", "churn", folder, "--json").json["digest"]

    text = do("show", "churn", "--manifest").out

    weights = hashlib.sha256(b"weights" * 1000).hexdigest()
    assert text.splitlines()[0] == f"{weights}  model.bin"
    assert digest == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_show_is_a_readable_record(do: Run, folder: Path) -> None:
    do("push", "churn", folder, "--param", "depth=3", "--param", "code=7e", "--note", "first")
    do("alias", "set", "churn:1", "production")

    shown = do("show", "churn").out

    assert shown.startswith("default/churn:1  production  @production\n  note     first\n")
    assert "  files    2, 6.8 KiB\n" in shown
    assert "params\n  code   7e\n  depth  3\n" in shown
    assert "\nrecipe\n" in shown


def test_json_of_show_has_the_recipe(do: Run, folder: Path) -> None:
    do("push", "churn", folder, "--param", "depth=3")
    do("push", "churn", folder, "--no-recipe")

    assert do("show", "churn:1", "--json").json["recipe"]["parameters"] == {"depth": 3}
    assert do("show", "churn:2", "--json").json["recipe"] is None


def test_list_tells_assets_of_all_or_one_namespace(do: Run, folder: Path) -> None:
    do("namespace", "create", "fraud", "--undelete-days", 3)
    do("push", "churn", folder)
    do("push", "fraud/data", folder, "--kind", "dataset")

    def names(*arguments: str) -> list[str]:
        return [asset["name"] for asset in do("list", *arguments, "--json").json]

    churn, data = "namespaces/default/assets/churn", "namespaces/fraud/assets/data"
    assert names() == [churn, data]
    assert names("fraud/") == [data]
    assert names("--kind", "dataset") == [data]
    assert names("default/", "--kind", "dataset") == []
    assert "default/churn  model    :1" in do("list").out


def test_list_of_versions_is_a_table_the_newest_first(do: Run, folder: Path) -> None:
    do("push", "churn", folder, "--note", "first\nand more")
    do("push", "churn", folder, "--alias", "champion")

    header, newest, oldest = do("list", "churn").out.splitlines()

    assert header.startswith("VERSION          STAGE        ALIASES    CREATED")
    assert newest.startswith("default/churn:2  development  @champion  20")
    assert oldest.endswith("  first")


def test_nothing_to_list_is_said_to_people_alone(do: Run) -> None:
    none = do("list")

    assert none.out == ""
    assert none.err == "no assets; `modelkeep push ASSET PATH` makes one\n"
    assert do("list", "--json").json == []


def test_files_tells_sizes_and_digests(do: Run, folder: Path) -> None:
    do("push", "churn", folder)

    files = do("files", "churn", "--json").json
    assert [(file["path"], file["size"]) for file in files] == [
        ("model.bin", 7000),
        ("sub/card.md", 8),
    ]
    assert len(do("files", "churn:1/sub", "--json").json) == 1
    assert do("files", "churn").out.splitlines()[1].endswith("  model.bin")


def test_diff_tells_what_differs(do: Run, folder: Path) -> None:
    do("push", "churn", folder, "--param", "depth=3", "--metric", "auc=0.9", "--no-recipe")
    (folder / "model.bin").write_text("other")
    (folder / "sub/card.md").unlink()
    (folder / "new").write_text("")
    do("push", "churn", folder, "--param", "depth=3.0", "--metric", "auc=0.93", "--no-recipe")

    assert do("diff", "churn:1", "churn:2").out == (
        "default/churn:1 → default/churn:2\n"
        "params\n  depth  3 → 3.0\n"
        "metrics\n  auc  0.9 → 0.93\n"
        "files\n  ~  model.bin  6.8 KiB → 5 B\n  +  new  0 B\n  -  sub/card.md  8 B\n"
    )
    assert do("diff", "churn:1", "churn:1").out.endswith("\nnothing differs\n")
    assert do("diff", "churn:1", "churn:2", "--json").json["metrics"] == [
        {"key": "auc", "before": 0.9, "after": 0.93}
    ]


def test_a_restored_version_is_the_newest(do: Run, folder: Path) -> None:
    do("push", "churn", folder)
    (folder / "model.bin").write_text("other")
    do("push", "churn", folder)

    restored = do("restore", "churn:1", "--note", "back", "--json").json

    assert restored["number"] == 3
    assert restored["restored_from"] == "namespaces/default/assets/churn/versions/1"
    assert restored["digest"] == do("show", "churn:1", "--json").json["digest"]
    assert do("restore", "churn:1").err == "default/churn:4 is default/churn:1 again\n"


def test_history_tells_who_did_what(do: Run, folder: Path) -> None:
    do("push", "churn", folder)
    do("push", "churn", folder)
    do("alias", "set", "churn:1", "champion")
    do("alias", "set", "churn:2", "champion")

    first, *rest = do("history", "churn", "--json").json
    table = do("history", "churn", "--limit", 1).out

    assert first["act"] == "alias.set"
    assert len(rest) == 3
    assert len(table.splitlines()) == 2
    assert table.endswith("  alias.set  default/churn@champion churn:1 → churn:2\n")


def test_what_is_deleted_can_be_undeleted(do: Run, run: Run, folder: Path) -> None:
    do("push", "churn", folder)
    do("push", "churn", folder)

    deleted = do("delete", "churn:1")
    assert "its bytes are freed later" in deleted.err
    assert "`modelkeep undelete default/churn:1` takes that back until 20" in deleted.err
    assert [one["number"] for one in do("list", "churn", "--json").json] == [2]
    assert len(do("list", "churn", "--deleted", "--json").json) == 2
    assert run("pull", "churn:1", "dest").code == 1
    assert do("undelete", "churn:1", "--json").json["delete_time"] is None

    assert "undelete --asset default/churn`" in do("delete", "--asset", "churn").err
    assert do("list", "--json").json == []
    assert do("undelete", "--asset", "churn", "--json").json["version_count"] == 2


def test_a_purge_needs_a_reason_and_a_deletion(do: Run, run: Run, folder: Path) -> None:
    do("push", "churn", folder)

    assert run("purge", "churn:1").code == 2
    assert "[VERSION_NOT_DELETED]" in run("purge", "churn:1", "--reason", "law").problem
    do("delete", "churn:1")
    assert do("purge", "churn:1", "--reason", "law", "--json").json["purged"] is True


def test_what_is_in_production_is_not_deleted(do: Run, run: Run, folder: Path) -> None:
    do("push", "churn", folder, "--alias", "production")

    held = run("delete", "churn:1")

    assert held.code == 1
    assert "aliases/production" in held.problem
    assert "`modelkeep alias remove ASSET@NAME`" in held.problem


def test_edit_changes_what_may_change(do: Run, folder: Path) -> None:
    do("push", "churn", folder, "--label", "a=1", "--label", "b=2")

    edited = do(
        *("edit", "churn:1", "--description", "Good", "--label", "c=3", "--remove-label", "a"),
        "--json",
    ).json
    asset = do("edit", "--asset", "churn", "--display-name", "Churn", "--json").json

    assert edited["description"] == "Good"
    assert edited["labels"] == {"b": "2", "c": "3"}
    assert asset["display_name"] == "Churn"


def test_namespaces_are_made_listed_and_shown(do: Run) -> None:
    made = do("namespace", "create", "fraud", "--undelete-days", 3, "--label", "a=b", "--json").json

    assert made["undelete_period"] == "259200s"
    assert [one["name"] for one in do("namespace", "list", "--json").json] == [
        "namespaces/default",
        "namespaces/fraud",
    ]
    assert do("namespace", "show", "fraud").out.startswith("fraud/\n  undelete  for 3 days\n")


def test_the_cache_is_listed_and_pruned(do: Run, folder: Path, tmp_path: Path) -> None:
    do("push", "churn", folder)
    with modelkeep.Client() as registry:
        registry.pull("churn")

    kinds = {entry["kind"] for entry in do("cache", "list", "--json").json}
    kept = do("cache", "prune", "--max-size", "1GB", "--json").json
    pruned = do("cache", "prune")

    assert "blob" in kinds
    assert kept == []
    assert pruned.err.startswith("removed 7.0 KiB (")
    assert do("cache", "list", "--json").json == []


def test_watch_prints_events_a_line_each(
    do: Run, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    do("push", "churn", folder)
    events = do("history", "default/", "--json").json
    monkeypatch.setattr(modelkeep.Client, "watch", lambda self, what, after: self.history(what))

    watched = do("watch", "default/", "--after", 0)
    lines = do("watch", "default/", "--json").out.splitlines()

    assert [line.split("  ")[3] for line in watched.out.splitlines()] == [
        event["act"] for event in events
    ]
    assert len(lines) == len(events)


def test_health_asks_the_server(do: Run, offline: Run) -> None:
    assert do("health").code == 0
    assert offline("--url", "127.0.0.1:1", "health").code == 1
