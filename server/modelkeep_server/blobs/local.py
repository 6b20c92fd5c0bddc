"""Blobs on a local disk.

* The layout is that of `local_files.py`.
* Publishing is: file durable, renamed into place, folder durable. So a file under `blobs/` is
  whole, whenever the power fails.
* Several processes of one machine may use a folder: a part that one of them writes is not taken
  over by another before that one lets go of it or ends.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from modelkeep_server.blobs.disk import Disk, write_all
from modelkeep_server.blobs.local_files import SHARDS, LocalFiles
from modelkeep_server.blobs.local_staged import LocalStagedBlob, remove_unless_locked
from modelkeep_server.blobs.writers import Writers
from modelkeep_server.values.start import StartError

# So many fsyncs at once share the file system's commits; more gained nothing (ext4).
_LANES = 8


class LocalStore:
    """Blobs in a folder, which must be there and be durable itself."""

    def __init__(
        self, root: Path, on_failure: Callable[[str], None], *, used: bool = False
    ) -> None:
        """Open the folder; `on_failure` is told once why nothing can be written any more.

        It is called where the failure was met, with locks held: it only takes note. In a place
        that was `used`, blobs have been stored: what is missing of its folders was lost with them.
        """
        self._root = root
        self._files = LocalFiles(root)
        self._blobs = self._files.blobs
        self._staging = self._files.staging
        self._disk = Disk(on_failure)
        self._writers = Writers()
        self._pool = ThreadPoolExecutor(_LANES, thread_name_prefix="blobs")
        if used:
            self._check_folders()
        self._make_folders()

    @property
    def files(self) -> LocalFiles:
        """What is there, whatever the records say."""
        return self._files

    def claim(self, owner: str) -> str:
        """Say which registry uses this folder, durable on return, unless one has said so before."""
        key = secrets.token_hex(16)
        with self._disk.writing():
            try:
                self._write_lane([key], [owner.encode()])
                with suppress(FileExistsError):
                    os.link(self._staged_path(key), self._files.owned)
            finally:
                self._staged_path(key).unlink(missing_ok=True)
            self._disk.sync_folder(self._root)
        return self._files.owner() or ""

    def put_many(self, blobs: Sequence[bytes]) -> list[str]:
        """Store small blobs, durable on return, and answer their keys; all or none of them."""
        # One shard, so that one folder is synced.
        shard = secrets.token_hex(1)
        keys = [shard + secrets.token_hex(15) for _ in blobs]
        with self._disk.writing(), self._writers.putting(keys):
            try:
                self._write_durable(keys, blobs)
                for key in keys:
                    os.rename(self._staged_path(key), self._path(key))
                self._disk.sync_folder(self._blobs / shard)
            except BaseException:
                self._remove(keys)
                raise
        return keys

    def stage(self, size: int, key: str | None = None) -> LocalStagedBlob:
        """Begin a part, or with a `key` go on with one, taking it from whoever had it."""
        key = key or secrets.token_hex(16)
        return LocalStagedBlob(
            key, self._staged_path(key), self._path(key), self._disk, self._writers
        )

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield published bytes by blocks, ending early where the blob does."""
        return self._files.read(key, offset, length)

    def staged_keys(self, before: float) -> list[str]:
        """List the parts that nobody here is writing, last changed before a Unix time."""
        old = []
        with os.scandir(self._staging) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        old.append(entry.name)
        return self._writers.free(old)

    def remove_staged(self, key: str) -> None:
        """Drop a part, unless somebody is writing it. Published bytes stay."""
        with self._disk.writing(), self._writers.unless_busy(key) as free:
            if free:
                remove_unless_locked(self._staged_path(key))

    def link(self, _key: str, _seconds: int) -> None:
        """Give no URL: these files are reached through the server alone."""

    def upload_link(self, _sha256: bytes, _seconds: int) -> None:
        """Give no URL, either."""

    def remove(self, *keys: str) -> None:
        """Drop published bytes, whose rows are gone; none need be there."""
        with self._disk.writing():
            for key in keys:
                self._path(key).unlink(missing_ok=True)

    def _check_folders(self) -> None:
        for gone in self._files.missing_places():
            raise StartError(
                f"{self._root / gone} is missing, and the blobs that were in it; see that --blobs "
                "and --data name where they are, or restore a backup into a new, empty place"
            )

    def _make_folders(self) -> None:
        # All of them now, so that no write has to make a new folder durable.
        with self._disk.writing():
            self._staging.mkdir(0o700, exist_ok=True)
            self._blobs.mkdir(0o700, exist_ok=True)
            for shard in SHARDS:
                (self._blobs / shard).mkdir(0o700, exist_ok=True)
            self._disk.sync_folder(self._blobs)
            self._disk.sync_folder(self._root)

    def _path(self, key: str) -> Path:
        return self._files.path(key)

    def _staged_path(self, key: str) -> Path:
        return self._files.staged_path(key)

    def _write_durable(self, keys: Sequence[str], blobs: Sequence[bytes]) -> None:
        lanes = [slice(lane, None, _LANES) for lane in range(min(_LANES, len(keys)))]
        futures = [self._pool.submit(self._write_lane, keys[x], blobs[x]) for x in lanes]
        # All of them, also after a failure: nothing may be written behind the back of `_remove`.
        wait(futures)
        for future in futures:
            future.result()

    def _write_lane(self, keys: Sequence[str], blobs: Sequence[bytes]) -> None:
        for key, blob in zip(keys, blobs, strict=True):
            fd = os.open(self._staged_path(key), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            try:
                write_all(fd, blob, 0)
                self._disk.sync(fd)
            finally:
                os.close(fd)

    def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            for path in (self._staged_path(key), self._path(key)):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
