"""The folder that a pull makes: built beside its place, then renamed into it.

* A folder that is there must be empty, or hold the same files; with `force` it's replaced, in
  one step where the system can exchange two names.
* It's built in `.{name}.modelkeep` beside it. What a pull that broke off left there is gone on
  with by the next one into the same place; a lock keeps two apart, and the second builds anew.
* A mount point, or the folder that this process is in, can't be replaced: then it's built in
  a hidden folder in it, and the files are moved up when all are there.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from modelkeep._disk import exchange, files_below, remove_tree, token
from modelkeep.errors import FailedPreconditionError
from modelkeep.names import shown

_MARK = ".modelkeep"
_MAX_NAME = 200


class Place:
    """Where a pull's files go."""

    def __init__(self, dest: Path) -> None:
        self.dest = Path(os.path.realpath(dest))
        self._inside = self._is_fixed()
        self._name = _MARK if self._inside else f".{self.dest.name[:_MAX_NAME]}{_MARK}"
        self.parent = self.dest if self._inside else self.dest.parent

    def _is_fixed(self) -> bool:
        """Tell whether it's a folder that must stay the one that it is."""
        if not self.dest.is_dir():
            return False
        here = self.dest.samefile(Path.cwd()) or os.path.ismount(self.dest)
        return here or not os.access(self.dest.parent, os.W_OK | os.X_OK)

    @property
    def taken(self) -> bool:
        """Whether something is there, if only a file."""
        if not self.dest.is_dir():
            return os.path.lexists(self.dest)
        return any(not self._is_left(name) for name in os.listdir(self.dest))

    def files(self) -> list[str]:
        """Give the paths of the files that are there."""
        return list(files_below(self.dest)) if self.dest.is_dir() else []

    @contextlib.contextmanager
    def building(self) -> Iterator[Path]:
        """Give a folder to build in, on the same file system; it stays if something is in it."""
        self.parent.mkdir(parents=True, exist_ok=True)
        self._sweep()
        folder = self.parent / self._name
        with contextlib.ExitStack() as locks:
            if not _lock(folder, locks):
                folder = self.parent / f"{self._name}-{token()}"
                _lock(folder, locks)
            try:
                yield folder
            except BaseException:
                if not any(files_below(folder)):
                    remove_tree(folder)
                raise
            remove_tree(folder)

    def fill(self, built: Path, force: bool) -> None:
        """Put what was built into its place."""
        self.check(force)
        if self._inside:
            for name in os.listdir(self.dest):
                if not self._is_left(name):
                    remove_tree(self.dest / name)
            for name in os.listdir(built):
                os.rename(built / name, self.dest / name)
            return
        if self.dest.is_dir():
            built.chmod(self.dest.stat().st_mode & 0o7777)
        if force and os.path.lexists(self.dest):
            exchange(built, self.dest)
            return
        try:
            os.rename(built, self.dest)  # refused by the system where something came meanwhile
        except OSError as problem:
            if problem.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise self.refusal() from problem
            raise

    def check(self, force: bool) -> None:
        """Refuse a place where something else is, unless it may be replaced."""
        if not self.taken:
            return
        if not force:
            raise self.refusal()
        held = self._is_dear()
        if held:
            where = shown(str(self.dest))
            raise FailedPreconditionError(
                "DEST_PROTECTED",
                f"{where} is {held} and is never replaced; pull into a folder of its own",
                field="dest",
                path=where,
            )

    def _is_dear(self) -> str:
        """Say why a folder must not be replaced, even by force; nothing where it may be."""
        # Not `Path.home()`, which raises for a user who has none.
        if str(self.dest) == os.path.realpath(os.path.expanduser("~")):
            return "the home folder"
        if self.dest in (here := Path(os.path.realpath(Path.cwd()))).parents or self.dest == here:
            return "the folder that this process works in, or one above it,"
        if (self.dest / "modelkeep.db").exists():
            return "a server's data folder"
        return ""

    def refusal(self) -> FailedPreconditionError:
        """Give the error that says that something else is there."""
        where = shown(str(self.dest))
        return FailedPreconditionError(
            "DEST_NOT_EMPTY",
            f"{where} holds something else; pull into another folder",
            field="dest",
            path=where,
        )

    def _is_left(self, name: str) -> bool:
        return self._inside and name.startswith(_MARK)

    def _sweep(self) -> None:
        """Remove what killed pulls left that nobody goes on with."""
        for name in os.listdir(self.parent):
            if name.startswith(f"{self._name}-"):
                with contextlib.ExitStack() as locks:
                    if _lock(self.parent / name, locks):
                        remove_tree(self.parent / name)


def _lock(folder: Path, locks: contextlib.ExitStack) -> bool:
    """Make a folder if it isn't there, and keep it for this process; tell whether that works.

    Whatever is there already must be a folder of this user that nobody else can write to: others
    may have put it, or a link, where a pull would look for it.
    """
    import fcntl  # not everywhere

    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY)
    except OSError:  # removed just now by its last holder, or no folder
        return False
    locks.callback(os.close, descriptor)
    state = os.fstat(descriptor)
    if state.st_uid != os.geteuid() or state.st_mode & 0o022:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks
        return False
    with contextlib.suppress(FileNotFoundError):  # removed by its last holder
        return os.path.samestat(os.fstat(descriptor), folder.lstat())
    return False
