"""A registry that has lived, on each kind of storage, and the commands that copy it whole."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.faults.state import state
from tests.parts.postgres import Postgres, new_database
from tests.parts.s3 import ENVIRONMENT
from tests.running import run_server
from tests.services.wire import Registry
from tests.verify.life import change_versions, leave_a_part, make_versions

import modelkeep.cli
from modelkeep.v1 import event_pb2, event_service_pb2


@dataclass(frozen=True)
class Stored:
    """Where a registry is."""

    data: Path
    database: str | None = None
    blobs: str | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Name it to a server."""
        given = {"database": self.database, "blobs": self.blobs}
        return {name: value for name, value in given.items() if value is not None}

    def options(self, prefix: str = "") -> list[str]:
        """Name it on a command line."""
        given = {"data": str(self.data)} | self.settings
        return [part for name, value in given.items() for part in (f"--{prefix}{name}", value)]


@dataclass(frozen=True)
class Said:
    """What a command did and said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Admin = Callable[..., Said]
MakePlace = Callable[[str], Stored]


@pytest.fixture
def admin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Admin:
    """Runs `modelkeep admin`."""
    monkeypatch.delenv("MODELKEEP_DEBUG", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> Said:
        code = modelkeep.cli.main(["admin", *map(str, arguments)])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def make_place(tmp_path: Path, request: pytest.FixtureRequest) -> MakePlace:
    """Makes new, empty places by their kind.

    `sqlite` is all in a folder; `postgres` has its bytes there; `s3` and `minio` are Postgres with
    the bytes in such a store.
    """
    made: list[Stored] = []

    def make(kind: str) -> Stored:
        data = tmp_path / f"place-{len(made)}"
        if kind == "sqlite":
            made.append(Stored(data))
            return made[-1]
        server: Postgres = request.getfixturevalue("postgres_server")
        store = {"s3": "seaweed_blobs", "minio": "minio_blobs"}.get(kind)
        blobs = request.getfixturevalue(store)() if store else None
        made.append(Stored(data, new_database(server.url()), blobs))
        return made[-1]

    return make


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry that has lived; nobody changes it."""
    path = tmp_path_factory.mktemp("lived") / "data"
    live_on(Stored(path))
    return path


@pytest.fixture
def stored(lived: Path, tmp_path: Path) -> Stored:
    """A stopped registry that has lived, all in a folder."""
    return Stored(Path(shutil.copytree(lived, tmp_path / "data")))


@contextmanager
def serving(stored: Stored) -> Iterator[Registry]:
    """Serve a registry."""
    with (
        run_server(stored.data, **stored.settings) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield Registry(channel, "default")
        assert server.figure("modelkeep_internal_errors_total") == 0


def live_on(stored: Stored) -> None:
    """Let a registry live, and stop it."""
    with serving(stored) as registry:
        make_versions(registry)
        change_versions(registry)
        if stored.blobs is None:
            leave_a_part(registry)


def answers(stored: Stored) -> list[Any]:
    """Ask a registry for everything."""
    with serving(stored) as registry:
        return state(registry)


def log(registry: Registry) -> list[event_pb2.Event]:
    """List the last events of all, oldest first."""
    request = event_service_pb2.ListEventsRequest(page_size=1000)
    return list(registry.events.ListEvents(request).events)[::-1]


def checkpoint(registry: Registry) -> event_service_pb2.Checkpoint:
    """Give the newest checkpoint of a registry's log."""
    return registry.events.GetCheckpoint(
        event_service_pb2.GetCheckpointRequest(), metadata=registry.metadata
    )
