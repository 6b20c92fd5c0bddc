"""Bytes: one large file up and down, and many small ones in packs."""

import os
import shutil
from functools import cached_property

import grpc

from bench import bounds
from bench.bounds import MIB, seconds
from bench.rows import Row
from bench.scene import Scene
from bench.wire import OPTIONS, Payload, Work, packs
from modelkeep import Client

SMALL = 64 * 1024


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    it = _Transfers(scene)
    rate, files = "MiB/s", "files/s"
    return [
        Row("upload cached", "one core's sha256", rate, 0.45, it.upload_cached, it.sha256),
        Row("upload durable", "writing with O_DIRECT", rate, 0.32, it.upload_durable, it.direct),
        Row("download", "a bare stream", rate, 0.85, it.download, it.bare_stream),
        Row("download checked", "hashing and writing here", rate, 0.6, it.pull, it.hash_and_write),
        Row("packed", "hash, write, fsync, rename here", files, 0.75, it.packed, it.local_files),
    ]


class _Transfers:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._size = scene.amount(512, 64)
        self._count = scene.amount(1_000, 200)

    def upload_cached(self) -> float:
        return self._upload(self._scene.in_memory)

    def upload_durable(self) -> float:
        return self._upload(self._scene.on_disk)

    def _upload(self, work: Work) -> float:
        data = Payload(self._size)
        return self._size / seconds(lambda: work.upload(data))

    def sha256(self) -> float:
        return bounds.sha256_rate(os.urandom(self._size * MIB))

    def direct(self) -> float:
        return bounds.direct_write_rate(self._scene.disk, self._size)

    @cached_property
    def _asset(self) -> str:
        """A version on disk and in memory, of one file."""
        data = Payload(self._size)
        for work in (self._scene.on_disk, self._scene.in_memory):
            work.upload(data)
            work.create("large", data.digest)
        return "large"

    def download(self) -> float:
        asset, work = self._asset, self._scene.on_disk
        return self._size / seconds(lambda: work.download(asset))

    def bare_stream(self) -> float:
        address, size = self._scene.bare.address, str(self._size).encode()
        with grpc.insecure_channel(address, options=OPTIONS) as channel:
            call: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/bare/Stream")
            list(call(b"1"))  # connects
            return self._size / seconds(lambda: sum(len(message) for message in call(size)))

    def pull(self) -> float:
        """In memory, where the disk's moods are none of it."""
        asset, folder = self._asset, self._scene.memory
        with Client(self._scene.cached.address, cache=folder / "cache") as client:
            client.version(f"{asset}@champion")  # connects
            taken = seconds(lambda: client.pull(f"{asset}@champion", folder / "pulled"))
        shutil.rmtree(folder / "pulled")
        return self._size / taken

    def hash_and_write(self) -> float:
        return bounds.hash_and_write_rate(self._scene.memory, os.urandom(self._size * MIB))

    def packed(self) -> float:
        work = self._scene.on_disk
        messages = packs([os.urandom(SMALL) for _ in range(self._count)])
        return self._count / seconds(lambda: work.send_packs(messages))

    def local_files(self) -> float:
        blobs = [os.urandom(SMALL) for _ in range(self._count)]
        return bounds.local_files_rate(self._scene.disk / "local", blobs)
