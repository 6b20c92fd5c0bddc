"""Transfers go on where they were when the way to the server breaks, or a process is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.client.conftest import Folder, content
from tests.client.proxy import Proxy
from tests.running import RunningServer

import modelkeep
from modelkeep import Client

MIB = 1 << 20


def _random(size: int) -> bytes:
    return os.urandom(1 << 16) * (size >> 16)


@pytest.mark.parametrize("cut_at", [1000, 5 * MIB, 35 * MIB])
def test_a_push_goes_on_after_a_cut(
    shaky: Client, proxy: Proxy, folder: Folder, cut_at: int
) -> None:
    out = folder("out", {"m": _random(40 * MIB), "n": os.urandom(2 * MIB), "o": b"o"})
    proxy.cut_after_sent(cut_at)

    version = shaky.push("churn", out)

    assert proxy.cuts == 1
    assert version.number == 1
    assert proxy.sent < 90 * MIB


def test_a_push_of_many_small_files_goes_on_after_cuts(
    shaky: Client, proxy: Proxy, folder: Folder
) -> None:
    out = folder("out", {str(i): os.urandom(40_000) for i in range(300)})
    proxy.cut_after_sent(5 * MIB)

    assert shaky.push("churn", out).file_count == 300
    assert proxy.cuts == 1


@pytest.mark.parametrize("cut_at", [1000, 5 * MIB, 180 * MIB])
def test_a_pull_goes_on_after_a_cut(
    shaky: Client, registry: Client, proxy: Proxy, folder: Folder, tmp_path: Path, cut_at: int
) -> None:
    out = folder("out", {"m": _random(200 * MIB), "n": os.urandom(2 * MIB), "o": b"o"})
    registry.push("churn", out)
    proxy.cut_after_received(cut_at)

    dest = shaky.pull("churn", tmp_path / "dest")

    assert proxy.cuts == 1
    assert content(dest) == content(out)
    # Not all of it twice: only what was on its way, some 40 MiB where this machine is busy.
    assert proxy.received < 300 * MIB


def test_a_pull_of_many_small_files_goes_on_after_a_cut(
    shaky: Client, registry: Client, proxy: Proxy, folder: Folder
) -> None:
    out = folder("out", {str(i): os.urandom(40_000) for i in range(300)})
    registry.push("churn", out)
    proxy.cut_after_received(5 * MIB)

    assert content(shaky.pull("churn")) == content(out)
    assert proxy.cuts == 1


PUSH = """
import sys, modelkeep
with modelkeep.Client(sys.argv[1], cache=sys.argv[3], user="ada") as registry:
    registry.push("churn", sys.argv[2], progress=lambda p: print(p.phase, p.done_bytes, flush=True))
"""
PULL = """
import sys, modelkeep
with modelkeep.Client(sys.argv[1], cache=sys.argv[3], user="ada") as registry:
    dest = sys.argv[2] if sys.argv[2] else None
    registry.pull("churn", dest, progress=lambda p: print(p.phase, p.done_bytes, flush=True))
"""


def _killed(code: str, phase: str, at_least: int, *arguments: str | Path) -> None:
    """Run code in a process, and kill it once it's that far."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now, _, done = line.partition(" ")
            if now == phase and int(done) >= at_least:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL


def test_a_killed_push_leaves_nothing_visible_and_the_next_goes_on(
    registry: Client, proxy: Proxy, shaky: Client, folder: Folder, tmp_path: Path
) -> None:
    out = folder("out", {"m": _random(200 * MIB)})
    _killed(PUSH, "uploading", 40 * MIB, registry.url, out, tmp_path / "cache")

    assert list(registry.assets()) == []
    version = shaky.push("churn", out)
    assert version.number == 1
    assert proxy.sent < 165 * MIB


@pytest.mark.parametrize("dest", ["dest", ""])
def test_a_killed_pull_leaves_nothing_at_its_place_and_the_next_goes_on(
    registry: Client, proxy: Proxy, shaky: Client, folder: Folder, tmp_path: Path, dest: str
) -> None:
    out = folder("out", {"m": _random(200 * MIB), "n": b"n"})
    registry.push("churn", out)
    place = tmp_path / dest if dest else None
    _killed(PULL, "downloading", 60 * MIB, registry.url, place or "", tmp_path / "cache")

    assert not (tmp_path / "dest").exists()
    pulled = shaky.pull("churn", place)
    assert content(pulled) == content(out)
    assert proxy.received < 165 * MIB
    assert [name for name in os.listdir(tmp_path) if "modelkeep" in name] == []


def test_what_a_killed_pull_of_another_version_left_does_no_harm(
    registry: Client, folder: Folder, tmp_path: Path
) -> None:
    registry.push("churn", folder("one", {"m": _random(200 * MIB), "n": b"1", "old": b"o"}))
    _killed(PULL, "downloading", 60 * MIB, registry.url, tmp_path / "dest", tmp_path / "cache")
    two = folder("two", {"m": os.urandom(2 * MIB), "n": b"2"})
    registry.push("churn", two)

    assert content(registry.pull("churn", tmp_path / "dest")) == content(two)


def test_a_pull_that_failed_goes_on_in_the_same_process(
    registry: Client, proxy: Proxy, shaky: Client, folder: Folder, tmp_path: Path
) -> None:
    out = folder("out", {"m": _random(200 * MIB)})
    registry.push("churn", out)

    def stop(progress: modelkeep.Progress) -> None:
        if progress.done_bytes > 120 * MIB:
            raise KeyboardInterrupt

    for dest in (tmp_path / "dest", None):
        with pytest.raises(KeyboardInterrupt):
            shaky.pull("churn", dest, progress=stop)
        before = proxy.received
        assert content(shaky.pull("churn", dest)) == content(out)
        assert proxy.received - before < 140 * MIB


def test_bytes_that_were_spoiled_on_this_disk_are_fetched_again(
    registry: Client, folder: Folder, tmp_path: Path
) -> None:
    out = folder("out", {"m": _random(100 * MIB)})
    registry.push("churn", out)

    def stop(progress: modelkeep.Progress) -> None:
        if progress.done_bytes > 40 * MIB:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.pull("churn", tmp_path / "dest", progress=stop)
    (part,) = (path for path in tmp_path.rglob("parts/*") if not path.suffix)
    with part.open("r+b") as file:
        file.write(b"spoiled")

    assert content(registry.pull("churn", tmp_path / "dest")) == content(out)


def test_an_upload_that_another_holds_is_waited_for(
    registry: Client, server: RunningServer, folder: Folder, tmp_path: Path
) -> None:
    out = folder("out", {"m": _random(150 * MIB)})
    command = [sys.executable, "-c", PUSH, server.address, str(out), str(tmp_path / "other")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        next(line for line in other.stdout if line.startswith("uploading"))
        time.sleep(0.05)
        mine = registry.push("churn", out)
        other.communicate()
        assert other.returncode == 0

    assert {version.number for version in registry.versions("churn")} == {1, 2}
    assert mine.digest == registry.version("churn").digest
