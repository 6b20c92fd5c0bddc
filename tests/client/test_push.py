"""What a push keeps, what it refuses, and that a refused one leaves nothing."""

import math
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.conftest import Folder

import modelkeep
from modelkeep import Client, Input
from modelkeep._manifest import scan


def test_a_folder_becomes_a_version_with_its_record(registry: Client, folder: Folder) -> None:
    version = registry.push(
        "churn",
        folder("out", {"model.bin": b"weights", "conf/a.json": b"{}"}),
        params={"depth": 6, "rate": 0.1, "name": "x", "deep": True},
        metrics={"auc": 0.93, "rows": 10},
        labels={"team": "fraud"},
        note="first",
        description="what it is",
        display_name="Churn",
        aliases=["champion", "production"],
        flavor="sklearn",
        signature=modelkeep.Signature(
            inputs=(modelkeep.Field("float64", "age", (-1,)),), outputs=(modelkeep.Field("int64"),)
        ),
    )

    assert version.reference == "default/churn:1"
    assert version.name == "namespaces/default/assets/churn/versions/1"
    assert version.params == {"depth": 6, "rate": 0.1, "name": "x", "deep": True}
    assert type(version.params["depth"]) is int
    assert type(version.params["deep"]) is bool
    assert version.metrics == {"auc": 0.93, "rows": 10.0}
    assert version.labels == {"team": "fraud"}
    assert (version.change_note, version.description) == ("first", "what it is")
    assert version.aliases == ("champion", "production")
    assert version.stage == "production"
    assert version.flavor == modelkeep.Flavor("sklearn")
    assert version.signature is not None
    assert version.signature.inputs[0].shape == (-1,)
    assert (version.file_count, version.size) == (2, 9)
    assert registry.asset("churn").kind == "model"


def test_a_file_is_a_version_of_that_file(registry: Client, folder: Folder) -> None:
    version = registry.push("churn", folder("out", {"model.bin": b"weights"}) / "model.bin")

    assert [file.path for file in registry.files(version)] == ["model.bin"]


def test_the_manifest_is_what_sha256sum_writes(registry: Client, folder: Folder) -> None:
    version = registry.push("churn", folder("out", {"b": b"", "a/é": b"x", "a-": b"x"}))

    x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert registry.manifest(version) == f"{x}  a-\n{x}  a/é\n{empty}  b\n"


def test_links_to_files_and_folders_are_followed(registry: Client, folder: Folder) -> None:
    elsewhere = folder("elsewhere", {"data/x": b"x", "y": b"y"})
    out = folder("out", {"real": b"r"})
    (out / "linked").symlink_to(elsewhere / "y")
    (out / "folder").symlink_to(elsewhere / "data")
    (out / "again").symlink_to(elsewhere / "data")

    version = registry.push("churn", out)

    assert [file.path for file in registry.files(version)] == [
        "again/x",
        "folder/x",
        "linked",
        "real",
    ]


def test_empty_folders_are_not_kept(registry: Client, folder: Folder) -> None:
    out = folder("out", {"a": b"a"})
    (out / "empty" / "deeper").mkdir(parents=True)

    assert registry.push("churn", out).file_count == 1


def test_inputs_are_resolved_and_have_roles(registry: Client, folder: Folder) -> None:
    data = registry.push("churn-data", folder("data", {"d": b"1"}), kind="dataset")
    base = registry.push("base", folder("base", {"m": b"1"}), aliases=["best"])
    digest = f"sha256:{'ab' * 32}"

    version = registry.push(
        "churn",
        folder("out", {"m": b"2"}),
        inputs=[
            "churn-data",
            "churn-data:1=evaluated-on",
            Input("base@best", role="fine-tuned-from"),
            base,
            Input(uri="https://example.com/d", digest=digest),
        ],
    )

    assert version.inputs == (
        Input(data.name, digest=data.digest, role="trained-on"),
        Input(data.name, digest=data.digest, role="evaluated-on"),
        Input(base.name, digest=base.digest, role="fine-tuned-from"),
        Input(base.name, digest=base.digest, role="uses"),
        Input(uri="https://example.com/d", digest=digest, role="uses"),
    )


def test_the_same_content_is_a_new_version_unless_only_changes_are_asked_for(
    registry: Client, folder: Folder
) -> None:
    out = folder("out", {"m": b"1"})

    assert registry.push("churn", out, if_changed=True).number == 1
    assert registry.push("churn", out).number == 2
    assert registry.push("churn", out, if_changed=True, aliases=["same"]).number == 2
    assert registry.version("churn@same").number == 2
    (out / "m").write_bytes(b"2")
    assert registry.push("churn", out, if_changed=True).number == 3


def test_numbers_of_other_libraries_count_as_what_they_hold(
    registry: Client, folder: Folder
) -> None:
    np = pytest.importorskip("numpy")

    version = registry.push(
        "churn",
        folder("out", {"m": b"1"}),
        params={"depth": np.int64(6), "rate": np.float32(0.5), "deep": np.bool_(True)},
        metrics={"auc": np.float32(0.5), "n": np.int64(3)},
    )

    assert version.params == {"depth": 6, "rate": 0.5, "deep": True}
    assert version.metrics == {"auc": 0.5, "n": 3.0}


def _link(out: Path) -> str:
    (out / "dangling").symlink_to("nowhere")
    return "dangling"


def _loop(out: Path) -> str:
    (out / "loop").symlink_to("loop")
    return "loop"


def _folder_loop(out: Path) -> str:
    (out / "sub").mkdir()
    (out / "sub" / "up").symlink_to("..")
    return "sub/up"


def _pipe(out: Path) -> str:
    os.mkfifo(out / "pipe")
    return "pipe"


def _socket(out: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(out)  # such names are short
        listener.bind("sock")
        os.chdir(here)
    return "sock"


def _device(out: Path) -> str:
    (out / "device").symlink_to("/dev/zero")
    return "device"


def _control(out: Path) -> str:
    (out / "a\nb").write_bytes(b"")
    return r"a\nb"


def _bidi(out: Path) -> str:
    (out / "a\u202eb").write_bytes(b"")
    return r"a\u202eb"


def _not_utf8(out: Path) -> str:
    Path(os.fsdecode(os.fsencode(out) + b"/a\xff")).write_bytes(b"")
    return r"a\udcff"


def _long(out: Path) -> str:
    deep = out
    for _ in range(6):
        deep = deep / ("x" * 200)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"")
    return "xxx"


@pytest.mark.parametrize(
    "spoil",
    [_link, _loop, _folder_loop, _pipe, _socket, _device, _control, _bidi, _not_utf8, _long],
)
def test_what_cannot_be_kept_is_refused_by_name(
    registry: Client, folder: Folder, spoil: Callable[[Path], object]
) -> None:
    out = folder("out", {"fine": b"1"})
    name = spoil(out)

    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        registry.push("churn", out)

    assert refused.value.reason == "PATH_INVALID"
    assert refused.value.fields[0].field == "path"
    assert str(name) in str(refused.value)
    assert list(registry.assets()) == []


def test_a_loop_of_folders_is_called_one(registry: Client, folder: Folder) -> None:
    out = folder("out", {"fine": b"1"})
    _folder_loop(out)

    with pytest.raises(modelkeep.InvalidArgumentError, match=r"'sub/up' .* a loop"):
        registry.push("churn", out)


def test_a_change_is_seen_on_the_file_itself(folder: Folder) -> None:
    out = folder("out", {"m": b"1"})
    (found,) = scan(out)
    (out / "m").write_bytes(b"2")

    with pytest.raises(modelkeep.FailedPreconditionError) as refused:
        found.open()

    assert refused.value.reason == "FILE_CHANGED"


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_nothing_to_push_is_refused(registry: Client, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        registry.push("churn", tmp_path / name)

    assert refused.value.reason == "PATH_INVALID"
    assert list(registry.assets()) == []


@pytest.mark.parametrize("size", [10, 700_000, 5_000_000])
def test_a_file_that_changes_while_it_is_pushed_is_noticed(
    registry: Client, folder: Folder, size: int
) -> None:
    out = folder("out", {"m": b"x" * size, "n": b"n"})

    def meddle(progress: modelkeep.Progress) -> None:
        if progress.phase == "hashing":
            (out / "m").write_bytes(b"y" * size)

    with pytest.raises(modelkeep.FailedPreconditionError) as refused:
        registry.push("churn", out, progress=meddle)

    assert refused.value.reason == "FILE_CHANGED"
    assert "'m'" in str(refused.value)
    assert list(registry.assets()) == []


def test_a_file_that_vanishes_while_it_is_pushed_is_noticed(
    registry: Client, folder: Folder
) -> None:
    out = folder("out", {"m": b"x" * 5_000_000})

    with pytest.raises(modelkeep.FailedPreconditionError) as refused:
        registry.push("churn", out, progress=lambda _: (out / "m").unlink(missing_ok=True))

    assert refused.value.reason == "FILE_CHANGED"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"metrics": {"auc": math.nan}}, "METRIC_NOT_FINITE"),
        ({"metrics": {"auc": math.inf}}, "METRIC_NOT_FINITE"),
        ({"metrics": {"auc": 10**400}}, "METRIC_NOT_FINITE"),
        ({"metrics": {"auc": "high"}}, "FIELD_INVALID"),
        ({"metrics": {"a b": 1}}, "KEY_INVALID"),
        ({"params": {"x": [1]}}, "FIELD_INVALID"),
        ({"params": {"x": 2**63}}, "FIELD_INVALID"),
        ({"params": {"": 1}}, "KEY_INVALID"),
        ({"params": {"x": "\udcff"}}, "FIELD_INVALID"),
        ({"labels": {"x": "\udcff"}}, "FIELD_INVALID"),
        ({"labels": {"x": 1}}, "FIELD_INVALID"),
        ({"note": "\udcff"}, "FIELD_INVALID"),
        ({"kind": "thing"}, "FIELD_INVALID"),
        ({"aliases": ["7"]}, "ALIAS_INVALID"),
        ({"aliases": ["latest"]}, "ALIAS_INVALID"),
        ({"aliases": ["staging"]}, "ALIAS_RESERVED"),
        ({"inputs": ["nothing:1"]}, "RESOURCE_NOT_FOUND"),
        ({"inputs": ["x=eaten-by"]}, "FIELD_INVALID"),
        ({"inputs": ["x:1/path"]}, "REFERENCE_INVALID"),
        ({"labels": {f"k{i}": "" for i in range(65)}}, "TOO_MANY_ITEMS"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_and_nothing_is_made(
    registry: Client, folder: Folder, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(modelkeep.Error) as refused:
        registry.push("churn", folder("out", {"m": b"1"}), **options)  # type: ignore[arg-type]  # wrong ones

    assert refused.value.reason == reason
    assert list(registry.assets()) == []


@pytest.mark.parametrize("name", ["a b", "../x", "churn:7", "churn@best", "a/b/c", "x" * 300, ""])
def test_what_names_no_asset_is_refused(registry: Client, folder: Folder, name: str) -> None:
    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        registry.push(name, folder("out", {"m": b"1"}))

    assert refused.value.reason == "REFERENCE_INVALID"


def test_an_asset_keeps_its_kind(registry: Client, folder: Folder) -> None:
    out = folder("out", {"m": b"1"})
    registry.push("churn", out, kind="dataset")

    with pytest.raises(modelkeep.FailedPreconditionError) as refused:
        registry.push("churn", out, kind="model")

    assert refused.value.reason == "KIND_MISMATCH"
    assert registry.push("churn", out).number == 2


def test_progress_ends_at_the_totals(registry: Client, folder: Folder) -> None:
    seen: dict[str, modelkeep.Progress] = {}
    out = folder("out", {"a": b"a" * 3_000_000, "b": b"b", "c": b"b"})

    registry.push("churn", out, progress=lambda progress: seen.update({progress.phase: progress}))

    assert list(seen) == ["hashing", "uploading", "sealing"]
    assert seen["hashing"].done_bytes == seen["hashing"].total_bytes == 3_000_002
    assert seen["hashing"].done_files == seen["hashing"].total_files == 3
    assert seen["uploading"].done_bytes == seen["uploading"].total_bytes
    assert seen["uploading"].done_files == seen["uploading"].total_files == 3  # a, b, the manifest


def test_many_pushes_at_once_get_numbers_without_gaps(registry: Client, folder: Folder) -> None:
    outs = [folder(f"out{i}", {"m": bytes([i])}) for i in range(12)]
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda out=out: numbers.append(registry.push("churn", out).number))
        for out in outs
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(numbers) == list(range(1, 13))
