"""A file system whose disk forgets and fails: a process of its own, told what to do on stdin.

    python -m tests.faults.filesystem MOUNT [CONTENT]

Each line on stdin is a JSON list, a command and its arguments, and is answered by one on stdout.
It ends, and takes the mount with it, when stdin does: so it never outlives the test.
"""

import errno
import json
import os
import stat
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

from mfusepy import FUSE, Operations
from tests.faults.memory_disk import Fault, File, Folder, MemoryDisk, Node
from tests.faults.mounts import unmount

# What SQLite maps into memory must stay in the kernel's cache; all else is read from the disk.
_MAPPED = "-shm"
_LONG_SECONDS = 3600.0


class FaultyFiles(Operations):  # type: ignore[misc]  # without types of its own
    """The calls of the kernel, on a disk in memory."""

    use_ns = True

    def __init__(self, disk: MemoryDisk, lock: threading.Lock) -> None:
        self._disk = disk
        self._lock = lock
        self._numbers = count(1)
        self._open: dict[int, File] = {}

    def init_with_config(self, _connection: Any, config: Any) -> None:
        # Nothing changes behind the kernel's back.
        config.attr_timeout = config.entry_timeout = _LONG_SECONDS
        config.hard_remove = 1

    def getattr(self, path: str | None, info: Any = None) -> dict[str, Any]:
        with self._lock:
            node: Node = self._open[info.fh] if info else self._disk.find(path or "/")
            size = len(node.data) if isinstance(node, File) else 0
            kind = stat.S_IFREG if isinstance(node, File) else stat.S_IFDIR
            times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), node.changed_ns)
            owner = {"st_uid": os.geteuid(), "st_gid": os.getegid()}
            blocks = {"st_blocks": (size + 511) // 512, "st_blksize": 4096}
            sizes = {"st_mode": kind | node.mode, "st_nlink": 1, "st_size": size}
            return {**sizes, **blocks, **times, **owner}

    def readdir(self, path: str, _handle: int) -> list[str]:
        with self._lock:
            return [".", "..", *self._disk.folder(path).names]

    def statfs(self, _path: str) -> dict[str, int]:
        free = max(self._disk.room // 4096, 0)
        sizes = {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 40, "f_namemax": 255}
        return {**sizes, "f_bfree": free, "f_bavail": free}

    def mkdir(self, path: str, mode: int) -> int:
        with self._lock:
            return self._changed(self._disk.make(path, Folder, stat.S_IMODE(mode)))

    def create(self, path: str, mode: int, info: Any) -> int:
        with self._lock:
            node = self._disk.make(path, File, stat.S_IMODE(mode))
            self._changed(node)
            return self._opened(node, info)

    def open(self, path: str, info: Any) -> int:
        with self._lock:
            node = self._disk.find(path)
            if info.flags & os.O_ACCMODE != os.O_RDONLY:
                self._disk.change()
            return self._opened(node, info)

    def release(self, _path: str | None, info: Any) -> int:
        with self._lock:
            self._open.pop(info.fh, None)
        return 0

    def read(self, _path: str | None, size: int, offset: int, info: Any) -> bytes:
        with self._lock:
            file = self._open[info.fh]
            self._disk.check("read", file.path)
            return bytes(file.data[offset : offset + size])

    def write(self, _path: str | None, data: bytes, offset: int, info: Any) -> int:
        with self._lock:
            file = self._open[info.fh]
            self._disk.write(file, data, offset)
            self._changed(file)
            return len(data)

    def truncate(self, path: str, length: int) -> int:
        with self._lock:
            file = self._disk.find(path)
            assert isinstance(file, File)
            self._disk.resize(file, length)
            return self._changed(file)

    def fsync(self, _path: str | None, _data_only: int, info: Any) -> int:
        with self._lock:
            self._disk.sync_file(self._open[info.fh])
        return 0

    def fsyncdir(self, path: str, _data_only: int, _handle: int) -> int:
        with self._lock:
            self._disk.sync_folder(self._disk.folder(path))
        return 0

    def unlink(self, path: str) -> int:
        with self._lock:
            self._disk.remove(path)
        return 0

    rmdir = unlink

    def rename(self, old: str, new: str) -> int:
        with self._lock:
            self._disk.rename(old, new)
        return 0

    def chmod(self, path: str | None, mode: int, _info: Any = None) -> int:
        with self._lock:
            self._disk.change()
            self._disk.find(path or "/").mode = stat.S_IMODE(mode)
        return 0

    def utimens(self, _path: str | None, _times: Any = None) -> int:
        return 0

    def _opened(self, node: Node, info: Any) -> int:
        if not isinstance(node, File):
            raise IsADirectoryError(errno.EISDIR, node.path)
        info.fh = next(self._numbers)
        info.keep_cache = int(node.path.endswith(_MAPPED))
        self._open[info.fh] = node
        return 0

    def _changed(self, node: Node) -> int:
        node.changed_ns = time.time_ns()
        return 0


class Control:
    """What a test may ask; one command a method."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    def fail(self, call: str, pattern: str, nth: int, error: int, lasting: bool) -> None:
        """Let the nth such call from now fail, and with `lasting` all after it."""
        self._disk.add_fault(Fault(call, pattern, nth, error, lasting))

    def room(self, size: int) -> None:
        """Let files grow by so many bytes more, in all."""
        self._disk.room = size

    def turn_read_only(self) -> None:
        """Refuse every change from now on."""
        self._disk.read_only = True

    def mend(self) -> None:
        """Be a good disk again."""
        self._disk.mend()

    def fired(self) -> int:
        """Tell how often a fault was met."""
        return self._disk.fired

    def syncs(self) -> list[str]:
        """Tell which files and folders were synced so far."""
        return self._disk.syncs

    def survivors(self, folder: str) -> None:
        """Write into a folder what a power cut now would leave."""
        for path, mode, data in self._disk.survivors():
            place = Path(folder, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(data)
            place.chmod(mode)


def _obey(control: Control, lock: threading.Lock, mount: str) -> None:
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        with lock:
            answer = getattr(control, command)(*arguments)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    unmount(mount)
    os._exit(0)


def main(mount: str, content: str = "") -> None:
    """Serve until stdin ends."""
    disk, lock = MemoryDisk(), threading.Lock()
    if content:
        disk.load(Path(content))
    threading.Thread(target=_obey, args=[Control(disk), lock, mount], daemon=True).start()
    FUSE(FaultyFiles(disk, lock), mount, raw_fi=True, foreground=True, nothreads=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
