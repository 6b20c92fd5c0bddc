"""What others put where a pull works, and what a hostile registry lists."""

import os
from pathlib import Path

import pytest
from tests.client.conftest import Folder

from modelkeep import Client, DataLossError, FailedPreconditionError
from modelkeep._listing import checked_files
from modelkeep._manifest import manifest_entries
from modelkeep._types import File


def test_a_link_where_a_pull_builds_is_not_followed(
    registry: Client, folder: Folder, tmp_path: Path
) -> None:
    registry.push("churn", folder("out", {"a": b"mine"}))
    victim = tmp_path / "victim"
    (victim / "files").mkdir(parents=True)
    (victim / "files" / "precious").write_text("keep me")
    (tmp_path / ".dest.modelkeep").symlink_to(victim)

    dest = registry.pull("churn", tmp_path / "dest")

    assert (dest / "a").read_bytes() == b"mine"
    assert (victim / "files" / "precious").read_text() == "keep me"


def test_a_folder_that_others_can_write_to_is_not_built_in(
    registry: Client, folder: Folder, tmp_path: Path
) -> None:
    registry.push("churn", folder("out", {"a": b"mine"}))
    planted = tmp_path / ".dest.modelkeep"
    planted.mkdir()
    (tmp_path / "victim").mkdir()
    (planted / "files").symlink_to(tmp_path / "victim")
    planted.chmod(0o777)

    dest = registry.pull("churn", tmp_path / "dest")

    assert not dest.is_symlink()
    assert os.listdir(tmp_path / "victim") == []


@pytest.mark.parametrize("place", ["here", "above", "home", "data"])
def test_force_does_not_replace_what_is_dear(
    registry: Client,
    folder: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    registry.push("churn", folder("out", {"a": b"mine"}))
    dear = tmp_path / "dear"
    (dear / "work").mkdir(parents=True)
    (dear / "modelkeep.db" if place == "data" else dear / "thesis").write_text("years")
    if place == "here":
        monkeypatch.chdir(dear)
    elif place == "above":
        monkeypatch.chdir(dear / "work")
    elif place == "home":
        monkeypatch.setenv("HOME", str(dear))
    before = sorted(os.listdir(dear))

    with pytest.raises(FailedPreconditionError, match="never replaced"):
        registry.pull("churn", dear, force=True)

    assert sorted(os.listdir(dear)) == before


def test_a_manifests_lines_end_at_line_feeds_alone() -> None:
    path = "a\x85b\u2028c"
    assert list(manifest_entries(f"{'0' * 64}  a\u2028c\n")) == [("a\u2028c", f"sha256:{'0' * 64}")]
    for text in (
        f"{'0' * 64}  a",
        f"{'0' * 63}/  a\n",
        f"../../{'0' * 58}  a\n",
        f"{'0' * 64} a\n",
    ):
        with pytest.raises(DataLossError):
            list(manifest_entries(text))
    with pytest.raises(Exception, match="path"):
        list(manifest_entries(f"{'0' * 64}  {path}\n"))


@pytest.mark.parametrize(
    "listed",
    [
        [File("a", "sha256:" + "0" * 64, 2**62)],
        [File("a", "sha256:" + "0" * 64, -1)],
        [File(str(n), "sha256:" + "0" * 64, 0) for n in range(3)],
    ],
)
def test_sizes_that_can_not_be_the_versions_are_refused_before_room_is_made(
    registry: Client, folder: Folder, monkeypatch: pytest.MonkeyPatch, listed: list[File]
) -> None:
    version = registry.push("churn", folder("out", {"a": b"a", "b": b"b"}))
    monkeypatch.setattr("modelkeep._listing.list_files", lambda *_: iter(listed))

    with pytest.raises(DataLossError):
        list(checked_files(registry._wire, version))
