"""Large files past the server: by links that it gives to an S3 store."""

import os
import shutil
from functools import cached_property
from pathlib import Path

from tests.parts.s3 import BUCKET

from bench import servers
from bench.bounds import MIB, seconds
from bench.rows import Row
from bench.scene import Scene
from bench.wire import FILE
from modelkeep import Client

ASSET = "linked"


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    it = _Links(scene)
    of, unit = "the store's own client, a file", "MiB/s"
    return [
        Row("s3 push by link", of, unit, 0.90, it.push, it.put),
        Row("s3 pull by link", of, unit, 0.97, it.pull, it.get),
    ]


class _Links:
    """Files are in memory, where the disk's moods are none of it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._size = scene.amount(512, 64)
        self._pushed = self._stored = False

    def push(self) -> float:
        file = self._file()
        self._pushed = True
        return self._size / seconds(lambda: self._sdk.push(ASSET, file, recipe=None))

    def put(self) -> float:
        file = str(self._file())
        self._stored = True
        return self._size / seconds(
            lambda: self._scene.store_client.fput_object(BUCKET, FILE, file)
        )

    def pull(self) -> float:
        if not self._pushed:
            self.push()
        target = self._folder / "pulled"
        taken = seconds(lambda: self._sdk.pull(ASSET, target))
        shutil.rmtree(target)
        return self._size / taken

    def get(self) -> float:
        if not self._stored:
            self.put()
        target = self._folder / "got"
        taken = seconds(lambda: self._scene.store_client.fget_object(BUCKET, FILE, str(target)))
        target.unlink()
        return self._size / taken

    def _file(self) -> Path:
        """Make the file anew."""
        file = self._folder / FILE
        file.write_bytes(os.urandom(self._size * MIB))
        return file

    @cached_property
    def _folder(self) -> Path:
        return self._scene.folder(self._scene.memory)

    @cached_property
    def _sdk(self) -> Client:
        data, blobs = self._scene.folder() / "data", self._scene.store.url()
        server = self._scene.parts.enter_context(servers.modelkeep(data, "--blobs", blobs))
        client = Client(server.address, cache=self._folder / "cache")
        return self._scene.parts.enter_context(client)
