"""What goes wrong is one line and an exit code, never a traceback."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.running import RunningServer

import modelkeep
from modelkeep.cli.problems import outcome

MODELKEEP = (sys.executable, "-c", "import sys, modelkeep.cli; sys.exit(modelkeep.cli.main())")


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "nope"],
        ["show", "nope:1"],
        ["list", "nope/"],
        ["list", "nope"],
        ["alias", "set", "nope:1", "champion"],
        ["alias", "remove", "nope@champion"],
        ["pull", "nope", "dest"],
        ["push", "churn", "nope"],
        ["namespace", "create", "default"],
        ["namespace", "show", "nope"],
        ["delete", "--asset", "nope"],
        ["watch", "--after", "999"],
        ["show", "nope", "--at", "9999-01-01"],
    ],
)
def test_a_refusal_is_one_line_with_its_reason(run: Run, arguments: Sequence[str]) -> None:
    refused = run(*arguments)

    assert refused.code == 1
    assert refused.problem.startswith("modelkeep: ")
    assert refused.problem.endswith("]")


@pytest.mark.parametrize(
    "arguments",
    [
        ["frob"],
        ["push"],
        ["push", "churn"],
        ["push", "churn", ".", "--frob"],
        ["push", "churn", ".", "--kind", "frob"],
        ["push", "churn", ".", "--param", "x"],
        ["push", "churn", ".", "--metric", "x=NaN"],
        ["push", "churn", ".", "--input", "a//b"],
        ["push", "churn", ".", "--input", "a=b"],
        ["push", "churn", ".", "--alias", "latest"],
        ["push", "churn", ".", "--alias", "7"],
        ["push", "churn", ".", "--label", "a b=c"],
        ["push", "churn:1", "."],
        ["push", "../x", "."],
        ["push", "x" * 300, "."],
        ["push", "a\u202eb", "."],
        ["push", "\udcff", "."],
        ["show", "a/b/c"],
        ["show", ""],
        ["show", "churn:07"],
        ["show", "churn:1/model.bin"],
        ["diff", "churn:1", "churn:2/model.bin"],
        ["edit", "churn:1/model.bin", "--label", "a=b"],
        ["show", "churn", "--at", "soon"],
        ["show", "churn", "--manifest", "--json"],
        ["pull", "churn", ""],
        ["push", "churn", ""],
        ["purge", "churn:1", "--reason", " "],
        ["list", "--url", ""],
        ["--url", "", "list"],
        ["list", "churn", "--kind", "model"],
        ["list", "--stage", "production"],
        ["list", "churn", "--stage", "frob"],
        ["alias", "set", "churn:1", "staging"],
        ["alias", "remove", "churn"],
        ["delete"],
        ["delete", "churn:1", "--asset", "churn"],
        ["delete", "churn@champion"],
        ["edit", "churn"],
        ["edit", "churn", "--label", "a=b", "--remove-label", "a"],
        ["history", "churn", "--limit", "0"],
        ["watch", "--after", "-1"],
        ["cache", "prune", "--max-size", "much"],
        ["list", "--url", "ht!tp"],
        ["push", "churn", ".", "--token", "secret"],
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_asked(
    offline: Run, arguments: Sequence[str]
) -> None:
    refused = offline(*arguments)

    assert refused.code == 2
    assert refused.problem.startswith("modelkeep")
    assert refused.problem.isprintable()


@pytest.mark.parametrize("token", ["a\nb", "schl\u00fcssel", "a\x7fb"])
def test_a_token_that_cannot_be_one_is_named_and_not_shown(
    offline: Run, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("MODELKEEP_TOKEN", token)

    refused = offline("list")

    assert refused.code == 2
    assert "MODELKEEP_TOKEN" in refused.problem
    assert token not in refused.problem


def test_a_token_may_come_from_a_file_that_ends_with_a_line_feed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKEEP_TOKEN", "secret\n")

    assert run("list").code == 0


def test_output_that_nobody_reads_any_more_is_no_problem_to_tell(server: RunningServer) -> None:
    with start(server, "history", "--help") as shown:
        assert shown.stdout is not None
        shown.stdout.close()
        assert shown.stderr is not None
        assert shown.stderr.read() == ""

    assert shown.returncode == 141


def test_the_folder_that_one_works_in_is_not_replaced_by_force(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("push", "churn", folder).code == 0
    monkeypatch.chdir(tmp_path)

    refused = run("pull", "churn", tmp_path, "--force")

    assert refused.code == 1
    assert refused.problem.endswith("into a folder of its own [DEST_PROTECTED]")


def test_a_file_that_lies_about_its_size_is_named(run: Run) -> None:
    refused = run("push", "churn", "/proc/version")

    assert refused.code == 1
    assert "'version' has another size than its file system says" in refused.problem


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_a_health_check_waits_some_time(offline: Run, seconds: str) -> None:
    assert offline("health", "--timeout-seconds", seconds).code == 2


def test_a_server_that_is_not_there_is_named(offline: Run) -> None:
    refused = offline("list")

    assert refused.code == 1
    assert "127.0.0.1:1" in refused.problem
    assert "modelkeep serve" in refused.problem


def test_a_destination_that_cannot_be_written_is_named(run: Run, folder: Path) -> None:
    assert run("push", "churn", folder).code == 0

    refused = run("pull", "churn", "/proc/nowhere/dest")

    assert refused.code == 1
    assert "/proc/nowhere" in refused.problem


def test_a_dangling_link_is_named(run: Run, folder: Path) -> None:
    (folder / "gone").symlink_to("nowhere")

    refused = run("push", "churn", folder)

    assert refused.code == 1
    assert "gone" in refused.problem
    assert run("list", "--json").json == []


def test_a_fault_of_modelkeep_is_one_line_too(
    offline: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ValueError("two\nlines")

    assert outcome(fail) == 1
    assert capsys.readouterr().err == (
        "modelkeep: a fault of its own (ValueError: two lines); MODELKEEP_DEBUG=1 tells more\n"
    )
    monkeypatch.setenv("MODELKEEP_DEBUG", "1")
    outcome(fail)
    assert "Traceback" in capsys.readouterr().err


def test_no_command_is_help(offline: Run) -> None:
    helped = offline()

    assert helped.code == 2
    assert "Keep and take" in helped.out + helped.err
    assert offline("--help").code == 0


def test_a_url_goes_before_or_after_the_command(
    offline: Run, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offline("list", "--url", server.address).code == 0
    assert offline("list").code == 1
    monkeypatch.setenv("MODELKEEP_URL", "restored afterwards")
    assert offline("--url", server.address, "list").code == 0


@contextlib.contextmanager
def start(server: RunningServer, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environment = os.environ | {"MODELKEEP_URL": server.address}
    with subprocess.Popen(
        [*MODELKEEP, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_stops_a_watch(server: RunningServer) -> None:
    with start(server, "watch", "--after", "0", "--json") as watch:
        assert watch.stdout is not None
        assert '"namespace.created"' in watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=10)

    assert (watch.returncode, errors) == (130, "stopped\n")


def _stored(server: RunningServer) -> int:
    """Tell how many bytes the server has; a file may go while it's looked at."""
    with contextlib.suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in server.data.rglob("*") if path.is_file())
    return 0


def test_a_push_stopped_by_ctrl_c_leaves_nothing_visible(
    server: RunningServer, do: Run, tmp_path: Path
) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2**30)
    with start(server, "push", "churn", str(tmp_path / "big"), "--no-recipe") as push:
        while push.poll() is None and _stored(server) < 2**24:
            time.sleep(0.01)
        push.send_signal(signal.SIGINT)
        _, errors = push.communicate(timeout=20)

    assert (push.returncode, errors.splitlines()[-1]) == (130, "stopped")
    assert do("list", "--json").json == []


def test_a_reader_that_goes_away_is_no_problem(server: RunningServer) -> None:
    with start(server, "watch", "--after", "0") as watch:
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.stdout.close()
        with modelkeep.Client(server.address) as registry:
            registry.create_namespace("fraud")
        assert watch.wait(timeout=30) == 141
        assert watch.stderr is not None
        assert watch.stderr.read() == ""


def test_a_reader_that_was_never_there_is_no_problem_either(server: RunningServer) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [*MODELKEEP, "namespace", "list"],
        env=os.environ | {"MODELKEEP_URL": server.address},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)

    assert (ran.returncode, ran.stderr) == (141, "")


def test_a_full_disk_behind_the_output_is_told(server: RunningServer) -> None:
    environment = os.environ | {"MODELKEEP_URL": server.address}
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [*MODELKEEP, "namespace", "list"],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert (ran.returncode, ran.stderr) == (1, "modelkeep: No space left on device\n")


def test_the_version_is_told_at_once() -> None:
    def seconds() -> float:
        begin = time.monotonic()
        ran = subprocess.run([*MODELKEEP, "--version"], capture_output=True, text=True, check=True)
        assert ran.stdout.startswith("modelkeep ")
        return time.monotonic() - begin

    assert min(seconds() for _ in range(5)) < 0.4
