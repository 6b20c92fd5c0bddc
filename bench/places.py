"""Where modelkeep and MLflow keep what they have while they are compared: places of one kind."""

from functools import cached_property
from typing import Protocol

from tests.parts.postgres import new_database
from tests.parts.s3 import BUCKET, ENVIRONMENT

from bench import mlflow_server, servers
from bench.scene import Scene
from bench.servers import Running

STRAIGHT = f"s3://{BUCKET}/mlflow-straight"
"""Where MLflow's clients put artifacts past its server."""


class Place(Protocol):
    """Two servers that keep what they have alike."""

    @property
    def modelkeep(self) -> Running:
        """The one."""

    @property
    def mlflow(self) -> mlflow_server.Server:
        """The other."""


class Disk:
    """SQLite, and this disk."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @property
    def modelkeep(self) -> Running:
        """The modelkeep that other rows measure, too."""
        return self._scene.kept

    @cached_property
    def mlflow(self) -> mlflow_server.Server:
        """An MLflow as it comes, but for where it keeps what it has."""
        home = self._scene.folder()
        database, artifacts = f"sqlite:///{home / 'mlflow.db'}", str(home / "artifacts")
        server = mlflow_server.running(home / "log", database, artifacts, {})
        return self._scene.parts.enter_context(server)


class Network:
    """A database each in one Postgres, and a prefix each in one bucket of one MinIO."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @cached_property
    def modelkeep(self) -> Running:
        """A modelkeep of this place alone."""
        database = new_database(self._scene.postgres.url())
        options = ("--database", database, "--blobs", self._scene.store.url())
        server = servers.modelkeep(self._scene.folder() / "data", *options)
        return self._scene.parts.enter_context(server)

    @cached_property
    def mlflow(self) -> mlflow_server.Server:
        """An MLflow as it comes, but for where it keeps what it has."""
        database = new_database(self._scene.postgres.url())
        endpoint = f"http://127.0.0.1:{self._scene.store.port}"
        environment = {**ENVIRONMENT, "MLFLOW_S3_ENDPOINT_URL": endpoint}
        log = self._scene.folder() / "log"
        server = mlflow_server.running(log, database, f"s3://{BUCKET}/mlflow", environment)
        return self._scene.parts.enter_context(server)
