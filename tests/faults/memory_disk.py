"""A disk in memory that forgets, at a power cut, all that was not synced.

* A file's bytes, size and mode are durable by a sync of the file, a name by a sync of its folder.
  A new name that was not synced is gone, a removed one is there again.
* A rename is atomic: durable by a sync of the folder that it went to. Before that the old name is.

That is the least that POSIX promises; what a real file system does besides is luck.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


@dataclass(eq=False, slots=True)
class File:
    """Bytes, those that are there and those that a power cut leaves."""

    path: str
    mode: int
    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    durable_mode: int = 0
    changed_ns: int = 0
    _dirty: list[tuple[int, int]] = field(default_factory=list)

    def write(self, data: bytes, offset: int) -> None:
        """Put bytes somewhere, with zeros where there was nothing before."""
        if offset > len(self.data):
            self.resize(offset)
        self.data[offset : offset + len(data)] = data
        self._dirty.append((offset, offset + len(data)))

    def resize(self, size: int) -> None:
        """Cut the bytes off, or append zeros."""
        old = len(self.data)
        if size < old:
            del self.data[size:]
        else:
            self.data += bytes(size - old)
        self._dirty.append((min(size, old), max(size, old)))

    def fail(self) -> None:
        """Take what was written for durable, as the kernel does when it could not write it.

        It can be read still, and no later sync brings it to the disk.
        """
        self._dirty.clear()

    def sync(self) -> None:
        """Let what is there survive."""
        size = len(self.data)
        del self.durable[size:]
        self.durable += bytes(size - len(self.durable))
        for start, end in self._dirty:
            self.durable[start : min(end, size)] = self.data[start : min(end, size)]
        self._dirty.clear()
        self.durable_mode = self.mode


@dataclass(eq=False, slots=True)
class Folder:
    """Names, those that are there and those that a power cut leaves."""

    path: str
    mode: int
    names: dict[str, "Node"] = field(default_factory=dict)
    durable: dict[str, "Node"] = field(default_factory=dict)
    changed_ns: int = 0


Node = File | Folder


@dataclass(slots=True)
class _Move:
    source: Folder
    old: str
    target: Folder
    node: Node


@dataclass(slots=True)
class Fault:
    """What fails: calls of a kind on paths of a pattern, from the `nth` on, once or always."""

    call: str
    pattern: str
    nth: int
    error: int
    lasting: bool

    def hits(self, call: str, path: str) -> bool:
        """Tell whether this call fails."""
        if self.call != call or not fnmatchcase(path, self.pattern):
            return False
        self.nth -= 1
        return self.nth == 0 or (self.lasting and self.nth < 0)


class MemoryDisk:
    """A tree of files and folders, and its faults.

    Attributes:
        syncs: The path of each sync so far, `PATH/` where it was a folder's.
        room: How many bytes files may still grow by.
        fired: How often a fault was met.
    """

    def __init__(self) -> None:
        self.root = Folder("", 0o755)
        self.syncs: list[str] = []
        self.room = 1 << 50
        self.fired = 0
        self.read_only = False
        self._faults: list[Fault] = []
        self._moves: list[_Move] = []

    # Faults

    def add_fault(self, fault: Fault) -> None:
        """Let something fail from now on."""
        self._faults.append(fault)

    def mend(self) -> None:
        """Be a good disk again."""
        self._faults.clear()
        self.room, self.read_only = 1 << 50, False

    def check(self, call: str, path: str) -> None:
        """Fail where a fault says so."""
        # Each is asked, since each counts.
        hit = [fault for fault in self._faults if fault.hits(call, path)]
        if hit:
            self.fired += 1
            raise OSError(hit[0].error, os.strerror(hit[0].error))

    def change(self) -> None:
        """Fail where nothing may be changed."""
        if self.read_only:
            self.fired += 1
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    # What is there

    def find(self, path: str) -> Node:
        """Find what has this path."""
        node: Node = self.root
        for name in PurePosixPath(path).parts[1:]:
            if not isinstance(node, Folder) or name not in node.names:
                raise FileNotFoundError(errno.ENOENT, path)
            node = node.names[name]
        return node

    def folder(self, path: str) -> Folder:
        """Find a folder."""
        node = self.find(path)
        if not isinstance(node, Folder):
            raise NotADirectoryError(errno.ENOTDIR, path)
        return node

    def make(self, path: str, kind: type[File] | type[Folder], mode: int) -> Node:
        """Make a file or a folder."""
        self.change()
        parent, name = self._place(path)
        self.check("create", path)
        self._take_room(0)
        node = parent.names[name] = kind(path, mode)
        return node

    def remove(self, path: str) -> None:
        """Take a name away. Who has the file open keeps it."""
        self.change()
        parent, name = self._place(path)
        self.check("unlink", path)
        if isinstance(node := parent.names[name], Folder) and node.names:
            raise OSError(errno.ENOTEMPTY, path)
        del parent.names[name]

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of what has that name."""
        self.change()
        (source, old_name), (target, new_name) = self._place(old), self._place(new)
        self.check("rename", new)
        node = target.names[new_name] = source.names.pop(old_name)
        node.path = new
        self._moves.append(_Move(source, old_name, target, node))

    def write(self, file: File, data: bytes, offset: int) -> None:
        """Write into a file."""
        self.change()
        self.check("write", file.path)
        self._take_room(max(offset + len(data) - len(file.data), 0))
        file.write(data, offset)

    def resize(self, file: File, size: int) -> None:
        """Cut a file off, or append zeros to it."""
        self.change()
        self._take_room(max(size - len(file.data), 0))
        file.resize(size)

    # What survives

    def sync_file(self, file: File) -> None:
        """Make a file's bytes durable."""
        self.syncs.append(file.path)
        try:
            self.check("sync", file.path)
        except OSError:
            file.fail()
            raise
        file.sync()

    def sync_folder(self, folder: Folder) -> None:
        """Make a folder's names durable, and with them the renames into it."""
        self.syncs.append(f"{folder.path}/")
        self.check("sync", f"{folder.path}/")
        pending = [move for move in self._moves if move.target is not folder]
        kept = {
            move.old: move.node
            for move in pending
            if move.source is folder and folder.durable.get(move.old) is move.node
        }
        for move in self._moves:
            if move.target is folder and move.source.durable.get(move.old) is move.node:
                del move.source.durable[move.old]
        folder.durable = kept | folder.names
        self._moves = pending

    def survivors(self) -> Iterator[tuple[str, int, bytes | None]]:
        """Tell the path, mode and bytes of each file, and the folders, that a power cut leaves."""
        waiting: list[tuple[str, Node]] = list(self.root.durable.items())
        while waiting:
            path, node = waiting.pop()
            if isinstance(node, Folder):
                yield path, node.mode, None
                waiting += [(f"{path}/{name}", child) for name, child in node.durable.items()]
            else:
                yield path, node.durable_mode or node.mode, bytes(node.durable)

    def load(self, top: Path) -> None:
        """Begin with what lies in a folder, all of it durable."""
        for path in sorted(top.rglob("*")):
            kind = Folder if path.is_dir() else File
            mode = stat.S_IMODE(path.stat().st_mode)
            node = self.make(f"/{path.relative_to(top)}", kind, mode)
            if isinstance(node, File):
                node.write(path.read_bytes(), 0)
                node.sync()
        self._each_folder(self.root, self.sync_folder)
        self.syncs.clear()

    def _each_folder(self, folder: Folder, act: Callable[[Folder], None]) -> None:
        act(folder)
        for node in folder.names.values():
            if isinstance(node, Folder):
                self._each_folder(node, act)

    def _place(self, path: str) -> tuple[Folder, str]:
        pure = PurePosixPath(path)
        return self.folder(str(pure.parent)), pure.name

    def _take_room(self, size: int) -> None:
        if self.room <= 0 or size > self.room:
            self.fired += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= size
