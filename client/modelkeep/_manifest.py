"""From a file or folder to a manifest, and from a manifest's text to its entries.

* Links to files and folders are followed; a loop of links, a link to nothing and whatever is
  neither a file nor a folder are refused by name.
* Empty folders and modes are not kept.
* A file that changes between being looked at, hashed and sent is noticed by its size, time of
  change and inode; the server checks every digest besides.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkeep._disk import hash_descriptor
from modelkeep._progress import Meter
from modelkeep._refs import PathLike
from modelkeep.errors import DataLossError, FailedPreconditionError, InvalidArgumentError
from modelkeep.names import MAX_PATH_BYTES, check_path, shown

MAX_FILES = 1_000_000
_LINE = re.compile(r"([0-9a-f]{64})  (.+)", re.DOTALL)

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to be pushed: its path in the version, where it is, and how it was when found."""

    path: str
    source: str
    size: int
    seen: tuple[int, ...]

    def open(self) -> int:
        """Open it as it was when found, or raise; gives a descriptor."""
        try:
            descriptor = os.open(self.source, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self.changed() from None
        except OSError as problem:
            raise _unreadable(self.path, problem) from None
        try:
            self.check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def check(self, descriptor: int) -> None:
        """Raise if it is no longer what was found."""
        if _seen(os.fstat(descriptor)) != self.seen:
            raise self.changed()

    def changed(self) -> FailedPreconditionError:
        """Give the error that says it was changed."""
        return FailedPreconditionError(
            "FILE_CHANGED",
            f"{shown(self.path)} was changed while it was pushed; push again when it's finished",
            field="path",
            path=shown(self.path),
        )


def scan(root: PathLike) -> list[LocalFile]:
    """Find what a file or a folder holds, in the order of a manifest."""
    if not os.fspath(root):  # an unset variable, most likely, and no wish for the current folder
        raise InvalidArgumentError("PATH_INVALID", "the path is empty", field="path")
    top = os.path.abspath(os.fspath(root))
    name = os.path.basename(top)
    info = _stat(top, name)
    if stat.S_ISDIR(info.st_mode):
        found = list(_walk(top, "", ((info.st_dev, info.st_ino),)))
    else:
        found = [_file(name, top, info)]
    if not found:
        raise _refused(name, "holds no files")
    if len(found) > MAX_FILES:
        raise InvalidArgumentError(
            "MANIFEST_TOO_LARGE",
            f"{shown(name)} holds more than {MAX_FILES:,} files",
            field="path",
            limit=MAX_FILES,
            actual=f"more than {MAX_FILES}",
        )
    return sorted(found, key=lambda file: file.path.encode())


def _walk(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[LocalFile]:
    try:
        entries = list(os.scandir(folder))
    except OSError as problem:
        raise _unreadable(prefix or folder, problem) from None
    for entry in entries:
        path = prefix + entry.name
        info = _stat(entry.path, path)
        if not stat.S_ISDIR(info.st_mode):
            yield _file(path, entry.path, info)
            continue
        if len(path) > MAX_PATH_BYTES:
            check_path(path, "path")  # refuses: nothing in there could be kept
        here = (info.st_dev, info.st_ino)
        if here in above:
            raise _refused(path, "is a link to a folder that it's in: a loop")
        yield from _walk(entry.path, f"{path}/", (*above, here))


def _stat(source: str, path: str) -> os.stat_result:
    """Look at what is there, through links."""
    try:
        return os.stat(source)
    except FileNotFoundError:
        if os.path.islink(source):
            raise _refused(
                path, f"is a link to {shown(_target(source))}, which isn't there"
            ) from None
        raise _refused(path, "isn't there") from None
    except OSError as problem:
        if os.path.islink(source):
            raise _refused(path, f"is a link that leads nowhere: {problem.strerror}") from None
        raise _unreadable(path, problem) from None


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return "something"


def _file(path: str, source: str, info: os.stat_result) -> LocalFile:
    if not stat.S_ISREG(info.st_mode):
        kind = _KINDS.get(stat.S_IFMT(info.st_mode), "neither a file nor a folder")
        raise _refused(path, f"is {kind}, which can't be kept")
    check_path(path, "path")
    return LocalFile(path, source, info.st_size, _seen(info))


def _seen(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_size, info.st_mtime_ns, info.st_ino, info.st_dev)


def _refused(path: str, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "PATH_INVALID", f"{shown(path)} {problem}", field="path", path=shown(path)
    )


def _unreadable(path: str, problem: OSError) -> InvalidArgumentError:
    return _refused(path, f"can't be read: {problem.strerror}")


def hash_file(file: LocalFile, meter: Meter | None = None) -> str:
    """Give the digest of a file that didn't change meanwhile."""
    descriptor = file.open()
    try:
        digest = hash_descriptor(descriptor, None if meter is None else meter.add)
        file.check(descriptor)
        if os.lseek(descriptor, 0, os.SEEK_CUR) != file.size:
            raise _refused(file.path, "has another size than its file system says")
    except OSError as problem:
        raise _unreadable(file.path, problem) from None
    finally:
        os.close(descriptor)
    if meter is not None:
        meter.add(files=1)
    return digest


def manifest_text(entries: Iterable[tuple[str, str]]) -> str:
    """Write a manifest of (path, digest) that are in order."""
    return "".join(f"{digest.removeprefix('sha256:')}  {path}\n" for path, digest in entries)


def manifest_entries(text: str) -> Iterator[tuple[str, str]]:
    """Read a manifest that was checked by its digest: (path, digest), each line checked again.

    Lines end at a line feed and nowhere else: what other systems take for one may be in a path.
    """
    *lines, rest = text.split("\n")
    for line in [*lines, rest] if rest else lines:
        match = _LINE.fullmatch(line)
        if match is None or line is rest:
            raise DataLossError("BLOB_DAMAGED", "the manifest breaks the form of manifests")
        check_path(match[2], "path")  # it'll be a place on this disk
        yield match[2], f"sha256:{match[1]}"


def digest_of(data: bytes) -> str:
    """Give the digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def below(path: str, prefix: str) -> str:
    """Give a path as it is in `REF/PREFIX`, or nothing if it's not in there.

    A file that is asked for itself has its own name.
    """
    if not prefix:
        return path
    if path == prefix:
        return Path(path).name
    return path.removeprefix(f"{prefix}/") if path.startswith(f"{prefix}/") else ""
