"""A version of very many small files, pushed and pulled by the SDK."""

import os
import shutil
from pathlib import Path

from bench import bounds
from bench.bounds import seconds
from bench.rows import Row
from bench.scene import Scene
from modelkeep import Client

SIZE = 1024
A_FOLDER = 1_000
SAMPLE = 10_000  # the base's rate doesn't depend on how many there are


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    it = _ManyFiles(scene)
    of, unit = "hash, write, fsync, rename here", "files/s"
    return [
        Row(f"push {it.count:,} files", of, unit, 0.75, it.push, it.base, rounds=3),
        Row(f"pull {it.count:,} files", of, unit, 0.75, it.pull, it.base, rounds=3),
    ]


class _ManyFiles:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._pushed = False
        self.count = scene.amount(200_000, 2_000)

    def push(self) -> float:
        """Push files that the server has none of."""
        source = self._source()
        with self._client() as client:
            taken = seconds(lambda: client.push("many-files", source, recipe=None))
        shutil.rmtree(source)
        self._pushed = True
        return self.count / taken

    def pull(self) -> float:
        """Pull the latest push's files into a new folder."""
        target = self._scene.disk / "many-pulled"
        if not self._pushed:
            self.push()
        with self._client() as client:
            taken = seconds(lambda: client.pull("many-files", target))
        shutil.rmtree(target)
        return self.count / taken

    def base(self) -> float:
        blobs = [os.urandom(SIZE) for _ in range(min(SAMPLE, self.count))]
        return bounds.local_files_rate(self._scene.disk / "local", blobs)

    def _client(self) -> Client:
        return Client(self._scene.kept.address, cache=self._scene.disk / "cache")

    def _source(self) -> Path:
        top = self._scene.disk / "many-source"
        for number in range(self.count):
            folder = top / f"{number // A_FOLDER:03}"
            if number % A_FOLDER == 0:
                folder.mkdir(parents=True)
            (folder / f"{number % A_FOLDER:03}.bin").write_bytes(os.urandom(SIZE))
        return top
