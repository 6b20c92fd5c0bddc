"""MLflow's server, with its own clients, in an environment of its own."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import IO

from tests.parts.ports import free_port

from bench.rows import CannotMeasureError

PROJECT = Path(__file__).with_name("mlflow")
ENVIRONMENT = Path(__file__).parents[1] / ".venv-mlflow"
WORKERS = 4  # MLflow's default
READY_SECONDS = 300


class Client:
    """A client whose commands are carried out by MLflow."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        """Wait until it can be asked."""
        self._process, self._log = process, log
        self._answer()

    def ask(self, command: str, name: str, folder: Path) -> float:
        """Have a command of `mlflow/client.py` carried out; answer the seconds that it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command} {name} {folder}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        raise RuntimeError(f"MLflow's client ended: {self._log.read_text()}")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs.

    Attributes:
        address: Its HOST:PORT.
        log: What it says, and its clients.
        environment: What they find there of a store.
    """

    address: str
    log: Path
    environment: Mapping[str, str]

    @contextmanager
    def client(self, *location: str) -> Iterator[Client]:
        """Run a client, for artifacts at a location that isn't the server's, if one is named."""
        command = [str(ENVIRONMENT / "bin/python"), str(PROJECT / "client.py"), *location]
        with self.log.open("a") as errors, self.process(command, PIPE, errors) as process:
            yield Client(process, self.log)

    @contextmanager
    def process(
        self, command: list[str], out: int | IO[str], errors: IO[str]
    ) -> Iterator["subprocess.Popen[str]"]:
        """Run a program of that environment, and end it with all that it started."""
        environment = {
            **os.environ,
            **self.environment,
            "MLFLOW_TRACKING_URI": f"http://{self.address}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        process = subprocess.Popen(
            command,
            stdin=PIPE,
            stdout=out,
            stderr=errors,
            text=True,
            env=environment,
            process_group=0,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):  # where it ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def version() -> str:
    """Tell which MLflow it is."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    pinned: str = project["dependencies"][0]
    return pinned.removeprefix("mlflow==")


@contextmanager
def running(
    log: Path, database: str, artifacts: str, environment: Mapping[str, str]
) -> Iterator[Server]:
    """Install MLflow where it isn't yet, and run its server."""
    _install()
    server = Server(f"127.0.0.1:{free_port()}", log, environment)
    host, port = server.address.split(":")
    command = [
        *(str(ENVIRONMENT / "bin/mlflow"), "server", "--host", host, "--port", port),
        *("--workers", str(WORKERS)),
        *("--backend-store-uri", database, "--artifacts-destination", artifacts),
        # At its default of 5 s, workers that start slowly on a busy machine are killed for ever.
        *("--uvicorn-opts", f"--timeout-worker-healthcheck {READY_SECONDS}"),
    ]
    with log.open("a") as errors, server.process(command, errors, errors) as process:
        _wait(process, log)
        yield server


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


def _wait(server: "subprocess.Popen[str]", log: Path) -> None:
    """Wait until every worker serves: what starts still would slow what is measured."""
    end = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < end:
        if log.read_text().count("Application startup complete") == WORKERS:
            return
        time.sleep(0.1)
    said = "".join(log.read_text().strip().splitlines()[-1:])
    raise CannotMeasureError(f"MLflow's server did not get ready: {said}")
