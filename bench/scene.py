"""What rows share: folders, servers, and how much is done. Nothing starts before it is needed."""

import shutil
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from minio import Minio
from tests.parts.minio import minio
from tests.parts.postgres import Postgres, postgres
from tests.parts.s3 import KEYS, S3Server

from bench import servers
from bench.rows import CannotMeasureError
from bench.servers import Running
from bench.wire import Work

SHM = Path("/dev/shm")  # memory, to measure without the disk

T = TypeVar("T")


class Scene:
    """A run of the bench, in a `with` block."""

    def __init__(self, quick: bool) -> None:
        """Do as much as shows that it works where it is `quick`, otherwise what tells."""
        self.quick = quick
        self.parts = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.parts.close()

    def amount(self, full: T, quick: T) -> T:
        """Choose by how much is to be done."""
        return quick if self.quick else full

    def folder(self, place: Path | None = None) -> Path:
        """Make a folder that goes when the run ends, by default on this disk."""
        made = tempfile.TemporaryDirectory(dir=place or ".", prefix=".bench-")
        return Path(self.parts.enter_context(made)).absolute()

    @cached_property
    def disk(self) -> Path:
        """A folder on disk."""
        return self.folder()

    @cached_property
    def memory(self) -> Path:
        """A folder in memory, where this system has that and enough of it."""
        enough = (1 if self.quick else 8) * 1024**3
        if SHM.is_dir() and shutil.disk_usage(SHM).free > enough:
            return self.folder(SHM)
        print(f"{SHM} is not there, or has less than {enough >> 30} GiB free: on disk instead")
        return self.disk

    @cached_property
    def kept(self) -> Running:
        """A modelkeep whose data are on disk."""
        return self.parts.enter_context(servers.modelkeep(self.disk / "data"))

    @cached_property
    def cached(self) -> Running:
        """A modelkeep whose data are in memory."""
        return self.parts.enter_context(servers.modelkeep(self.memory / "data"))

    @cached_property
    def bare(self) -> Running:
        """A server that does nothing."""
        return self.parts.enter_context(servers.bare())

    @cached_property
    def postgres(self) -> Postgres:
        """A Postgres that syncs every commit."""
        return self.parts.enter_context(postgres(durable=True))

    @cached_property
    def store(self) -> S3Server:
        """A MinIO, where its program is on PATH."""
        if shutil.which("minio") is None:
            raise CannotMeasureError("no minio on PATH; `make bench` builds it where Go is")
        return self.parts.enter_context(minio())

    @cached_property
    def store_client(self) -> Minio:
        """The store's own client, straight to it."""
        endpoint = f"127.0.0.1:{self.store.port}"
        return Minio(endpoint, KEYS.access, KEYS.secret, secure=False, region="us-east-1")

    @cached_property
    def on_disk(self) -> Work:
        """A client of `kept`."""
        return self.parts.enter_context(Work(self.kept.address))

    @cached_property
    def in_memory(self) -> Work:
        """A client of `cached`."""
        return self.parts.enter_context(Work(self.cached.address))
