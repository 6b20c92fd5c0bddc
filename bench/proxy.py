"""MLflow's server as a proxy of artifacts, with its own client, in an environment of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import IO

from bench.rows import CannotMeasureError

PROJECT = Path(__file__).with_name("mlflow")
ENVIRONMENT = Path(__file__).parents[1] / ".venv-mlflow"
WORKERS = 4  # MLflow's default
READY_SECONDS = 300


class Proxy:
    """A client whose commands are carried out by MLflow."""

    def __init__(self, client: "subprocess.Popen[str]", log: Path) -> None:
        """Wait until it can be asked."""
        self._client, self._log = client, log
        self._answer()

    def ask(self, command: str, name: str, folder: Path) -> float:
        """Have a command of `mlflow/client.py` carried out; answer the seconds that it took."""
        assert self._client.stdin is not None
        self._client.stdin.write(f"{command} {name} {folder}\n")
        self._client.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._client.stdout is not None
        if line := self._client.stdout.readline():
            return line
        raise RuntimeError(f"MLflow's client ended: {self._log.read_text()}")


def version() -> str:
    """Tell which MLflow it is."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    pinned: str = project["dependencies"][0]
    return pinned.removeprefix("mlflow==")


@contextmanager
def running(folder: Path) -> Iterator[Proxy]:
    """Install MLflow where it isn't yet, and run its server and a client of it on a folder."""
    _install()
    address, log = f"http://127.0.0.1:{_free_port()}", folder / "log"
    with ExitStack() as parts:
        errors = parts.enter_context(log.open("w"))
        server = parts.enter_context(_process(_server(folder, address), address, errors, errors))
        _wait(server, log)
        command = [str(ENVIRONMENT / "bin/python"), str(PROJECT / "client.py")]
        yield Proxy(parts.enter_context(_process(command, address, PIPE, errors)), log)


def _install() -> None:
    """Make the environment as `mlflow/uv.lock` says; where it is so already, that is quick."""
    command = [
        *(os.environ.get("UV", "uv"), "sync", "--frozen", "--quiet", "--compile-bytecode"),
        *("--project", str(PROJECT), "--python", sys.executable),
    ]
    try:
        environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)}
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        raise CannotMeasureError("MLflow is installed by uv, which is not here") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or ["uv says nothing"]
        raise CannotMeasureError(f"MLflow could not be installed: {last[0].strip()}") from None


def _server(folder: Path, address: str) -> list[str]:
    host, port = address.removeprefix("http://").split(":")
    return [
        *(str(ENVIRONMENT / "bin/mlflow"), "server", "--host", host, "--port", port),
        *("--workers", str(WORKERS)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
        # At its default of 5 s, workers that start slowly on a busy machine are killed for ever.
        *("--uvicorn-opts", f"--timeout-worker-healthcheck {READY_SECONDS}"),
    ]


@contextmanager
def _process(
    command: list[str], address: str, out: int | IO[str], errors: IO[str]
) -> Iterator["subprocess.Popen[str]"]:
    """Run a program of that environment, and end it with all that it started."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        command, stdin=PIPE, stdout=out, stderr=errors, text=True, env=environment, process_group=0
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(server: "subprocess.Popen[str]", log: Path) -> None:
    """Wait until every worker serves: what starts still would slow what is measured."""
    end = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < end:
        if log.read_text().count("Application startup complete") == WORKERS:
            return
        time.sleep(0.1)
    said = "".join(log.read_text().strip().splitlines()[-1:])
    raise CannotMeasureError(f"MLflow's server did not get ready: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
