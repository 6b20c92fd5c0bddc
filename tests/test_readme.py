"""README's story works word for word, in an empty folder."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
STORY = README.split("## The story")[1].split("## What works today")[0]
SHELL, PYTHON = STORY.split("```python\n")
ADDRESS = "127.0.0.1:50051"


def blocks() -> list[str]:
    """The story's shell blocks, in order."""
    found = re.findall(r"\n((?:(?:    .*)?\n)+)", SHELL)
    return [re.sub(r"^    ", "", block, flags=re.M).strip() for block in found if block.strip()]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith("MODELKEEP")}
    binaries = Path(sys.executable).parent
    return inherited | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "MODELKEEP_CACHE": str(tmp_path / "cache"),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def serving(tmp_path: Path, environment: dict[str, str]) -> Iterator[None]:
    """The story's server: with no configuration, so on the default port."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 50051)) == 0:
            pytest.fail("README's story needs port 50051, and something else listens there")
    (tmp_path / "server").mkdir()
    command = blocks()[0].splitlines()[-1].split()
    process = subprocess.Popen(
        command, cwd=tmp_path / "server", env=environment, stderr=subprocess.DEVNULL
    )
    try:
        health = ["modelkeep", "health"]
        for _ in range(100):
            if subprocess.run(health, env=environment, capture_output=True).returncode == 0:
                break
            assert process.poll() is None, "the server did not start"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        assert process.wait(timeout=40) == 0


def test_the_story_works_word_for_word(
    serving: None, environment: dict[str, str], folder: Path
) -> None:
    prepare, *steps = blocks()[1:]
    script = "\n".join(["set -euo pipefail", prepare, *steps])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model.bin: OK\n" in done.stdout
    assert (folder / "served/model.bin").read_text() == "better weights\n"

    python = PYTHON.split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 production {'auc': 0.93}",
        "2 archived {'auc': 0.93}",
        "1 archived {'auc': 0.91}",
    ]
