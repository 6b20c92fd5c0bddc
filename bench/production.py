"""Past one machine: over Postgres, over an S3 store, and by several workers.

Postgres syncs every commit. The store is MinIO, where its program is on PATH.
"""

import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.parts.postgres import new_database
from tests.parts.s3 import BUCKET

from bench import servers
from bench.bounds import MIB, seconds
from bench.calls import SERVICE, Calls
from bench.rows import CannotMeasureError, Row
from bench.scene import Scene
from bench.servers import Running
from bench.wire import Payload, Work

LOAD = Path(__file__).with_name("load")
CONNECTIONS = 16


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    over, store = _Servers(scene), _Store(scene)
    calls = over.calls
    empty, straight = "an empty rpc", "the store's own client, straight"
    return [
        Row("postgres get", empty, "calls/s", 0.50, calls.get, lambda: calls.empty(16)),
        Row("postgres create", empty, "calls/s", 0.10, calls.create, lambda: calls.empty(64)),
        Row("two workers", "one worker", "calls/s", 1.35, over.by_two, over.by_one),
        Row("s3 upload", straight, "MiB/s", 0.85, store.upload, store.upload_straight),
        Row("s3 download", straight, "MiB/s", 0.57, store.download, store.download_straight),
    ]


class _Servers:
    """Servers over one Postgres."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seconds = scene.amount(2.0, 0.5)
        self.calls = Calls(scene, lambda: self._one)

    def by_one(self) -> float:
        return self._load(self._one)

    def by_two(self) -> float:
        return self._load(self._two)

    def _load(self, server: Running) -> float:
        """Have a client that takes little of the machine get versions."""
        command = [
            *(str(self._program), "-address", server.address, "-method", f"{SERVICE}/GetVersion"),
            *("-request", self.calls.get_request.hex(), "-seconds", str(self._seconds)),
            *("-connections", str(CONNECTIONS)),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(done.stdout) / self._seconds

    @cached_property
    def _url(self) -> str:
        return new_database(self._scene.postgres.url())

    @cached_property
    def _data(self) -> Path:
        return self._scene.folder() / "data"

    @cached_property
    def _one(self) -> Running:
        return self._serve("--workers", "1")

    @cached_property
    def _two(self) -> Running:
        return self._serve("--workers", "2")

    def _serve(self, *options: str) -> Running:
        database = ("--database", self._url)
        return self._scene.parts.enter_context(servers.modelkeep(self._data, *database, *options))

    @cached_property
    def _program(self) -> Path:
        go = shutil.which("go")
        if go is None:
            raise CannotMeasureError("the client of this load is built with Go, which is not here")
        program = self._scene.folder() / "load"
        subprocess.run([go, "build", "-o", str(program), "."], cwd=LOAD, check=True)
        return program


class _Store:
    """Bytes through a server to an S3 store, and straight to it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._size = scene.amount(512, 64)

    def upload(self) -> float:
        data = Payload(self._size)
        return self._size / seconds(lambda: self._work.upload(data))

    def upload_straight(self) -> float:
        data: Any = _Stream(Payload(self._size))
        size = self._size * MIB
        return self._size / seconds(
            lambda: self._scene.store_client.put_object(
                BUCKET, "straight", data, size, part_size=16 * MIB
            )
        )

    def download(self) -> float:
        asset = self._asset
        return self._size / seconds(lambda: self._work.download(asset))

    def download_straight(self) -> float:
        if self._is_straight:
            return self._size / seconds(self._read)
        raise CannotMeasureError("the store has nothing to read")

    def _read(self) -> None:
        response = self._scene.store_client.get_object(BUCKET, "straight")
        try:
            for _ in response.stream(MIB):
                pass
        finally:
            response.close()
            response.release_conn()

    @cached_property
    def _is_straight(self) -> bool:
        """Whether there is an object that came straight."""
        return self.upload_straight() > 0

    @cached_property
    def _asset(self) -> str:
        data = Payload(self._size)
        self._work.upload(data)
        self._work.create("large", data.digest)
        return "large"

    @cached_property
    def _work(self) -> Work:
        data = self._scene.folder() / "data"
        running = servers.modelkeep(data, "--blobs", self._scene.store.url())
        return self._scene.parts.enter_context(
            Work(self._scene.parts.enter_context(running).address)
        )


class _Stream:
    """A payload as a file that is read once."""

    def __init__(self, payload: Payload) -> None:
        self._chunks = iter(payload)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Read so many bytes, or what is left."""
        pieces = [self._rest]
        have = len(self._rest)
        while have < size and (chunk := next(self._chunks, b"")):
            pieces.append(chunk)
            have += len(chunk)
        data = b"".join(pieces)
        self._rest = data[size:]
        return data[:size]
