"""What a pull puts where, and what it never touches."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.conftest import Folder, content

import modelkeep
from modelkeep import Client, FailedPreconditionError
from modelkeep._place import Place

FILES = {"model.bin": os.urandom(3_000_000), "conf/a.json": b"{}", "conf/b": b"", "same": b"{}"}


@pytest.fixture
def pushed(registry: Client, folder: Folder) -> modelkeep.Version:
    return registry.push("churn", folder("pushed", FILES), aliases=["champion"])


@pytest.mark.parametrize("ref", ["churn", "churn:1", "default/churn@champion", "modelkeep://churn"])
def test_a_version_comes_back_as_it_was(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path, ref: str
) -> None:
    dest = registry.pull(ref, tmp_path / "new" / "dest")

    assert dest == tmp_path / "new" / "dest"
    assert content(dest) == FILES
    assert sorted(os.listdir(dest.parent)) == ["dest"]


def test_it_passes_sha256sum(registry: Client, pushed: modelkeep.Version, tmp_path: Path) -> None:
    dest = registry.pull(pushed, tmp_path / "dest")

    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet"],
        input=registry.manifest(pushed).encode(),
        cwd=dest,
        check=True,
    )


def test_its_files_are_yours_to_change(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    registry.pull(pushed)
    dest = registry.pull(pushed, tmp_path / "dest")

    (dest / "model.bin").write_bytes(b"mine")

    assert content(registry.pull(pushed)) == FILES
    assert content(registry.pull(pushed, tmp_path / "other")) == FILES


def test_without_a_place_the_files_are_in_the_cache(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    found = registry.pull("churn@champion")

    assert content(found) == FILES
    assert found.is_relative_to(tmp_path / "cache")
    assert registry.pull("churn:1") == found
    assert not any((found / path).stat().st_mode & 0o222 for path in FILES)


def test_a_path_takes_one_file_or_a_folder(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    assert content(registry.pull("churn:1/model.bin", tmp_path / "one")) == {
        "model.bin": FILES["model.bin"]
    }
    assert content(registry.pull("churn:1/conf", tmp_path / "some")) == {"a.json": b"{}", "b": b""}
    assert registry.pull("churn@champion/conf/a.json").read_bytes() == b"{}"
    assert content(registry.pull("churn:1/conf")) == {"a.json": b"{}", "b": b""}
    assert [file.path for file in registry.files("churn:1/conf")] == ["conf/a.json", "conf/b"]


def test_a_folder_is_a_folder_even_if_its_only_file_has_its_name(
    registry: Client, folder: Folder
) -> None:
    registry.push("churn", folder("out", {"a/a": b"1", "b": b"2"}))

    assert content(registry.pull("churn:1/a")) == {"a": b"1"}
    assert registry.pull("churn:1/a/a").read_bytes() == b"1"


@pytest.mark.parametrize("ref", ["nothing", "churn:2", "churn@best", "churn:1/nothing", "no/churn"])
def test_what_is_not_there_is_not_found_and_nothing_is_made(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path, ref: str
) -> None:
    before = set(os.listdir(tmp_path))

    with pytest.raises(modelkeep.NotFoundError) as refused:
        registry.pull(ref, tmp_path / "dest")

    assert refused.value.reason == "RESOURCE_NOT_FOUND"
    assert set(os.listdir(tmp_path)) - {"cache"} == before - {"cache"}


def test_the_same_version_may_be_there_already(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    dest = registry.pull(pushed, tmp_path / "dest")
    inode = (dest / "model.bin").stat().st_ino

    registry.pull(pushed, dest)

    assert (dest / "model.bin").stat().st_ino == inode


def test_an_empty_folder_is_filled(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    (tmp_path / "dest").mkdir(mode=0o750)

    dest = registry.pull(pushed, tmp_path / "dest")

    assert content(dest) == FILES
    assert dest.stat().st_mode & 0o777 == 0o750


def test_what_comes_into_an_empty_folder_meanwhile_stays(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    check = Place.check

    def then_someone_writes(place: Place, force: bool) -> None:
        check(place, force)
        (dest / "mine").write_text("mine")

    monkeypatch.setattr(Place, "check", then_someone_writes)

    with pytest.raises(FailedPreconditionError) as refused:
        registry.pull(pushed, dest)

    assert refused.value.reason == "DEST_NOT_EMPTY"
    assert content(dest) == {"mine": b"mine"}


def test_a_folder_is_on_the_disk_before_it_has_its_name(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int | str] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        steps.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        rename(source, target)
        if target == tmp_path / "dest":
            steps.append("renamed")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)

    dest = registry.pull(pushed, tmp_path / "dest")

    assert steps[-1] == "renamed"
    assert {path.stat().st_ino for path in (dest, *dest.rglob("*"))} <= set(steps[:-1])


def test_the_current_folder_is_filled_and_stays_the_same(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dest").mkdir()
    monkeypatch.chdir(tmp_path / "dest")

    registry.pull(pushed, ".")

    assert content(Path()) == FILES
    assert set(os.listdir()) == {"model.bin", "conf", "same"}
    assert registry.pull(pushed, ".") == tmp_path / "dest"


def _other_file(dest: Path) -> None:
    (dest / "mine").write_bytes(b"mine")


def _changed(dest: Path) -> None:
    (dest / "conf" / "a.json").write_bytes(b"[]")


def _one_missing(dest: Path) -> None:
    (dest / "same").unlink()


def _a_file(dest: Path) -> None:
    dest.rename(dest.with_name("away"))
    dest.write_bytes(b"a file")


@pytest.mark.parametrize("spoil", [_other_file, _changed, _one_missing, _a_file])
def test_anything_else_that_is_there_stays_unless_forced(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    dest = registry.pull(pushed, tmp_path / "dest")
    spoil(dest)
    before = content(tmp_path)

    with pytest.raises(FailedPreconditionError) as refused:
        registry.pull(pushed, dest)

    assert refused.value.reason == "DEST_NOT_EMPTY"
    assert content(tmp_path) == before
    registry.pull(pushed, dest, force=True)
    assert content(dest) == FILES
    assert not [name for name in os.listdir(tmp_path) if "modelkeep" in name]


def test_a_link_to_a_folder_is_filled_behind_the_link(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    registry.pull(pushed, tmp_path / "link")

    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == FILES


def test_what_a_reference_meant_at_a_time_is_pulled(
    registry: Client, pushed: modelkeep.Version, folder: Folder, tmp_path: Path
) -> None:
    registry.set_alias(registry.push("churn", folder("two", {"two": b"2"})), "champion")

    then = registry.pull("churn@champion", tmp_path / "then", at=pushed.create_time)

    assert content(then) == FILES
    assert content(registry.pull("churn@champion", tmp_path / "now")) == {"two": b"2"}


def test_a_deleted_version_is_not_pulled_even_from_the_cache(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    registry.pull(pushed)
    registry.remove_alias("churn@champion")
    registry.delete(pushed)

    with pytest.raises(FailedPreconditionError) as refused:
        registry.pull("churn:1", tmp_path / "dest")

    assert refused.value.reason == "VERSION_DELETED"
    registry.undelete("churn:1")
    assert content(registry.pull("churn:1", tmp_path / "dest")) == FILES


def test_a_large_file_comes_in_ranges(registry: Client, folder: Folder, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    data = b"".join(i.to_bytes(4, "big") + block for i in range(150))
    seen: list[modelkeep.Progress] = []

    registry.push("big", folder("big", {"m": data}))
    dest = registry.pull("big", tmp_path / "dest", progress=seen.append)

    assert (dest / "m").read_bytes() == data
    assert seen[-1].phase == "downloading"
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(data)
    assert registry.pull("big:1/m").read_bytes() == data


def test_many_small_files_come_back(registry: Client, folder: Folder, tmp_path: Path) -> None:
    files = {f"{i % 10}/{i}": hashlib.sha256(bytes([i % 256])).digest() * i for i in range(2500)}

    registry.push("many", folder("many", files), kind="dataset")

    assert content(registry.pull("many", tmp_path / "dest")) == files
    assert content(registry.pull("many")) == files


def test_a_place_that_cannot_be_written_is_one_clear_error(
    registry: Client, pushed: modelkeep.Version, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(FailedPreconditionError) as failed:
        registry.pull(pushed, tmp_path / "file" / "dest")

    assert failed.value.reason == "DISK_FAILED"
