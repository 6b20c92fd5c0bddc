"""What a recipe finds out by itself, and what it never tells."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelkeep import Recipe, _capture


def _git(*arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    _git("init", "--initial-branch", "trunk")
    _git("remote", "add", "origin", "https://ada:secret@example.com/fraud.git")
    (tmp_path / "train.py").write_text("x = 1\n")
    _git("add", ".")
    _git("commit", "--message", "one")
    return tmp_path


def test_the_code_is_named_without_credentials(repository: Path) -> None:
    code = Recipe.capture().code

    assert code is not None
    assert len(code.revision) == 40
    assert (code.remote, code.branch, code.dirty) == (
        "https://example.com/fraud.git",
        "trunk",
        False,
    )


@pytest.mark.parametrize("name", ["train.py", "new.py"])
def test_what_the_commit_does_not_have_makes_it_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("y = 2\n")

    code = Recipe.capture().code
    assert code is not None
    assert code.dirty


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    _git("checkout", "--detach")

    code = Recipe.capture().code
    assert code is not None
    assert code.branch == ""


def test_without_a_repository_there_is_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Recipe.capture().code is None
    _git("init")
    assert Recipe.capture().code is None


def test_without_git_there_is_no_code(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert Recipe.capture().code is None


def test_a_program_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("git", "nvidia-smi"):
        (tmp_path / name).write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(_capture, "_WAIT_SECONDS", 0.2)

    start = time.monotonic()
    recipe = Recipe.capture()

    assert recipe.code is None
    assert time.monotonic() - start < 5


def test_accelerators_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA H100\necho NVIDIA H100\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    hardware = Recipe.capture().hardware
    assert hardware is not None
    assert hardware.accelerators == ("NVIDIA H100", "NVIDIA H100")
    assert hardware.cpu_count >= 1
    assert hardware.memory > 1 << 28
    assert hardware.architecture


def test_a_package_installed_from_an_archive_has_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = {"url": "file:///a.whl", "archive_info": {"hashes": {"sha256": "ab12"}}}
    for name, noted in {
        "hashed": json.dumps(archive),
        "odd": "[",
        "linked": '{"dir_info": {}}',
    }.items():
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "direct_url.json").write_text(noted)
    monkeypatch.syspath_prepend(tmp_path)

    found = {package.name: package.hashes for package in _capture.environment().packages}

    assert (found["hashed"], found["odd"], found["linked"]) == (("sha256:ab12",), (), ())


def test_packages_are_those_that_are_installed() -> None:
    environment = Recipe.capture().environment

    assert environment is not None
    found = {package.name: package.version for package in environment.packages}
    code = "import importlib.metadata as m; print(m.version('grpcio'), m.version('types-protobuf'))"
    versions = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert [found["grpcio"], found["types-protobuf"]] == versions.stdout.split()
    assert environment.runtime.startswith("CPython 3.")
    assert environment.platform


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["train.py", "--depth", "6"], ["train.py", "--depth", "6"]),
        (["--token", "x", "y"], ["--token", "[hidden]", "y"]),
        (["--api-key=x"], ["--api-key=[hidden]"]),
        (["--hf_token", "x"], ["--hf_token", "[hidden]"]),
        (["DB_PASSWORD=x"], ["DB_PASSWORD=[hidden]"]),
        (["--password", "--depth", "6"], ["--password", "--depth", "6"]),
        (["--tokenizer", "bert"], ["--tokenizer", "bert"]),
        (["--max-token-length", "6"], ["--max-token-length", "6"]),
        (["--db", "postgres://ada:x@db/y"], ["--db", "postgres://db/y"]),
        (["-H", "hf_abcdefghijklmnopqrst"], ["-H", "[hidden]"]),
        (["a\x1b[0m", "\udcff"], [r"a\x1b[0m", r"\udcff"]),
        (["x" * 10_000], ["x" * 8192]),
    ],
)
def test_the_command_is_kept_without_secrets(given: list[str], kept: list[str]) -> None:
    assert list(_capture.command(given)) == kept


@pytest.mark.parametrize("name", ["seed", "random_seed", "random_state"])
def test_the_seed_is_found_among_the_parameters(name: str) -> None:
    assert Recipe.capture(parameters={name: 7}).seed == 7
    assert Recipe.capture(parameters={name: "7"}).seed is None
    assert Recipe.capture(parameters={name: 7}, seed=8).seed == 8


def test_capturing_is_quick(repository: Path) -> None:
    start = time.process_time()
    Recipe.capture()

    assert time.process_time() - start < 0.3
