"""Where a local store's files are, and which there are.

`blobs/<the key's first two digits>/<key>` is published, `staging/<key>` is not. `registry` has the
id of the registry that uses the folder, where its database is elsewhere.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from modelkeep_server.blobs.disk import read_blocks, unreadable

KEY = re.compile(r"[0-9a-f]{32}")
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EIO}
SHARDS = tuple(f"{shard:02x}" for shard in range(256))


class LocalFiles:
    """The files of a folder, to look at: nothing is written."""

    def __init__(self, root: Path) -> None:
        """Look at this folder."""
        self.blobs = root / "blobs"
        self.staging = root / "staging"
        self.owned = root / "registry"
        self._root = root

    def path(self, key: str) -> Path:
        """Tell where a published blob is."""
        return self.blobs / key[:2] / key

    def staged_path(self, key: str) -> Path:
        """Tell where a part is."""
        return self.staging / key

    def shown(self, key: str, *, staged: bool = False) -> str:
        """Tell the path of a blob or a part, in the folder."""
        return f"staging/{key}" if staged else f"blobs/{key[:2]}/{key}"

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield published bytes by blocks, ending early where the blob does."""
        try:
            # A pipe in its place would otherwise make us wait for who writes to it.
            fd = os.open(self.path(key), os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise unreadable(key, offset) from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise unreadable(key, offset)
            yield from read_blocks(fd, key, offset, offset + length)
        finally:
            os.close(fd)

    def published(self, shard: str) -> dict[str, int]:
        """Tell the blobs of a shard: keys and sizes."""
        return {
            name: info.st_size
            for name, info in _entries(self.blobs / shard)
            if _is_file(name, info) and name.startswith(shard)
        }

    def staged(self) -> dict[str, int]:
        """Tell the parts that can be listed: keys and sizes."""
        return {name: info.st_size for name, info in _entries(self.staging) if _is_file(name, info)}

    def staged_size(self, key: str) -> int | None:
        """Tell how many bytes of a part are there, published or not."""
        for path in (self.staged_path(key), self.path(key)):
            with suppress(FileNotFoundError, NotADirectoryError):
                info = path.lstat()
                if _is_file(key, info):
                    return info.st_size
        return None

    def strangers(self) -> Iterator[str]:
        """Yield what is no part of the layout: paths in the folder."""
        for name, info in _entries(self.staging):
            if not _is_file(name, info):
                yield self._shown(self.staging / name)
        for shard, info in _entries(self.blobs):
            if shard not in SHARDS or not stat.S_ISDIR(info.st_mode):
                yield self._shown(self.blobs / shard)
                continue
            for name, entry in _entries(self.blobs / shard):
                if not (_is_file(name, entry) and name.startswith(shard)):
                    yield self._shown(self.blobs / shard / name)

    def is_empty(self) -> bool:
        """Tell whether no blob is there."""
        return not any(self.published(shard) for shard in SHARDS)

    def owner(self) -> str | None:
        """Tell the registry that uses this folder, by its id."""
        try:
            return self.owned.read_bytes().decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def missing_places(self) -> list[str]:
        """Tell the folders of blobs that are gone; where all are, the one that had them."""
        if not self.blobs.is_dir():
            return [self._shown(self.blobs)]
        folders = (self.blobs / shard for shard in SHARDS)
        return [self._shown(folder) for folder in folders if not folder.is_dir()]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root))


def _entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = os.scandir(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    found = []
    with entries:
        for entry in entries:
            # On a running server, files come and go meanwhile.
            with suppress(FileNotFoundError):
                found.append((entry.name, entry.stat(follow_symlinks=False)))
    yield from sorted(found)


def _is_file(name: str, info: os.stat_result) -> bool:
    return KEY.fullmatch(name) is not None and stat.S_ISREG(info.st_mode)
