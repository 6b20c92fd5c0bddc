"""How far a push or a pull is, for people."""

import os
import pty
import subprocess
from pathlib import Path

import pytest
from tests.cli.test_problems import MODELKEEP
from tests.running import RunningServer

from modelkeep import Progress
from modelkeep.cli import progress
from modelkeep.cli.progress import Lines, amount, duration

MIB = 1024 * 1024


class Clock:
    """A clock that is set."""

    now = 100.0

    def monotonic(self) -> float:
        """Tell its time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_a_log_gets_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for second in range(30):
        clock.now = 100.0 + second
        lines.tell(Progress("uploading", second * MIB, 60 * MIB, second, 60))

    assert capsys.readouterr().err.splitlines() == [
        "uploading: 2.0 MiB of 60.0 MiB, 2 of 60 files, 1.0 MiB/s, 58 s left",
        "uploading: 12.0 MiB of 60.0 MiB, 12 of 60 files, 1.0 MiB/s, 48 s left",
        "uploading: 22.0 MiB of 60.0 MiB, 22 of 60 files, 1.0 MiB/s, 38 s left",
    ]


def test_a_short_transfer_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    Lines().tell(Progress("uploading", 0, MIB, 0, 1))

    assert capsys.readouterr().err == ""


def test_a_phase_without_bytes_counts_files() -> None:
    assert amount(Progress("sealing", 0, 0, 3, 1200)) == "3 of 1,200 files"
    assert amount(Progress("sealing", 0, 0, 1, 0)) == "1 file"


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (200, "3:20"), (3900, "1:05:00")])
def test_spans_of_time_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_terminal_gets_a_bar(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(20 * MIB))
    ours, theirs = pty.openpty()
    environment = os.environ | {"MODELKEEP_URL": server.address, "TERM": "xterm"}
    ran = subprocess.Popen(
        [*MODELKEEP, "push", "churn", str(tmp_path / "model.bin")],
        env=environment | {"COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    try:
        while chunk := os.read(ours, 65536):
            printed += chunk
    except OSError:  # how a terminal says that nobody is there any more
        pass
    finally:
        os.close(ours)

    assert ran.wait(timeout=20) == 0
    assert "━" in printed.decode()
    assert printed.decode().endswith("default/churn:1 is kept: 1 file, 20.0 MiB\r\n")
    assert ran.stdout is not None
    assert ran.stdout.read() == b""
    ran.stdout.close()
