"""A registry that sends something else than the version: nothing of it gets anywhere."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.client.conftest import Folder, content
from tests.running import RunningServer

import modelkeep
from modelkeep import Client, File, _listing
from modelkeep._download_stream import Download, FileRange

MIB = 1 << 20
_list_files, _read = _listing.list_files, Download.read


@pytest.fixture
def pushed(registry: Client, folder: Folder) -> Path:
    out = folder("out", {"large": os.urandom(3 * MIB), "small": b"small"})
    registry.push("churn", out)
    return out


def _other_digest(files: list[File]) -> list[File]:
    return [replace(files[0], digest=f"sha256:{'0' * 64}"), *files[1:]]


def _other_path(files: list[File]) -> list[File]:
    return [replace(files[0], path="other"), *files[1:]]


def _one_less(files: list[File]) -> list[File]:
    return files[1:]


@pytest.mark.parametrize("lie", [_other_digest, _other_path, _one_less])
@pytest.mark.parametrize("dest", ["dest", ""])
def test_a_list_of_files_that_is_not_the_versions_is_refused(
    registry: Client,
    pushed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lie: Callable[[list[File]], list[File]],
    dest: str,
) -> None:
    monkeypatch.setattr(_listing, "list_files", lambda *given: iter(lie(list(_list_files(*given)))))

    with pytest.raises(modelkeep.DataLossError) as refused:
        registry.pull("churn", tmp_path / dest if dest else None)

    assert refused.value.reason == "BLOB_DAMAGED"
    assert not (tmp_path / "dest").exists()
    assert registry.cache.list() == []


@pytest.mark.parametrize("path", ["large", "small"])
@pytest.mark.parametrize("dest", ["dest", ""])
def test_wrong_bytes_are_refused(
    registry: Client,
    pushed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    dest: str,
) -> None:
    def spoiled(self: Download, ranges: Sequence[FileRange]) -> Iterator[tuple[int, int, bytes]]:
        for index, offset, data in _read(self, ranges):
            wrong = ranges[index].path == path and offset == 0
            yield index, offset, b"!" + data[1:] if wrong else data

    place = tmp_path / dest if dest else None
    monkeypatch.setattr(Download, "read", spoiled)
    with pytest.raises(modelkeep.DataLossError) as refused:
        registry.pull("churn", place)

    assert refused.value.reason == "BLOB_DAMAGED"
    assert not (tmp_path / "dest").exists()
    assert [one for one in registry.cache.list() if one.kind == "tree"] == []
    monkeypatch.setattr(Download, "read", _read)
    assert content(registry.pull("churn", place)) == content(pushed)


def test_an_upload_whose_staged_start_was_damaged_begins_anew(
    server: RunningServer, registry: Client, folder: Folder
) -> None:
    out = folder("out", {"m": os.urandom(1 << 16) * (60 * 16)})
    progress: list[modelkeep.Progress] = []

    def stop(seen: modelkeep.Progress) -> None:
        if seen.phase == "uploading" and seen.done_bytes > 20 * MIB:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.push("churn", out, progress=stop)
    staged = [
        path for path in server.data.rglob("*") if path.is_file() and path.stat().st_size > 10 * MIB
    ]
    assert len(staged) == 1
    with staged[0].open("r+b") as file:
        file.write(b"damaged")

    version = registry.push("churn", out, progress=progress.append)

    assert version.number == 1
    assert version.size == 60 * MIB
