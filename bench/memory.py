"""The server itself: how soon it is ready, and how much memory it takes."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from bench import servers
from bench.rows import Row
from bench.scene import Scene
from bench.wire import Payload, Work

STREAMS = 4
REST_SECONDS = 1.0


def rows(scene: Scene) -> list[Row]:
    """Give this subject's rows."""
    it = _Memory(scene)
    return [
        Row("ready", "after start", "s", 1, it.ready),
        Row("memory at rest", "resident", "MiB", 120, it.rest),
        Row("memory, 4 up 4 down", "resident at its peak", "MiB", 200, it.streams, rounds=3),
    ]


class _Memory:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._size = scene.amount(1024, 32)

    def ready(self) -> float:
        with servers.modelkeep(self._scene.folder() / "data") as server:
            return server.ready_seconds

    def rest(self) -> float:
        with servers.modelkeep(self._scene.folder() / "data") as server:
            time.sleep(REST_SECONDS)
            return servers.memory_mib(server.pid)

    def streams(self) -> float:
        """Run four uploads and four downloads at once, each of a file of its own."""
        folder = self._scene.folder() / "data"
        assets = [f"large-{number}" for number in range(STREAMS)]
        down, up = ([Payload(self._size) for _ in range(STREAMS)] for _ in range(2))
        with servers.modelkeep(folder) as server, Work(server.address) as work:
            for asset, data in zip(assets, down, strict=True):
                work.upload(data)
                work.create(asset, data.digest)
        with servers.modelkeep(folder) as server, Work(server.address) as work:
            with ThreadPoolExecutor(2 * STREAMS) as pool:
                uploads = pool.map(work.upload, up)
                downloads = pool.map(work.download, assets)
                list(zip(uploads, downloads, strict=True))
            peak = servers.peak_mib(server.pid)
        shutil.rmtree(folder)
        return peak
