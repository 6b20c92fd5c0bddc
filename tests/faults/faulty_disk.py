"""A disk that tests may break: mounted, told what to fail, and asked what a power cut leaves."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.mounts import need_fuse, unmount

ROOT = Path(__file__).parents[2]
ANY = "*"
READY_SECONDS = 30


class FaultyDisk:
    """A mounted file system, `path`, whose disk is a process's memory."""

    def __init__(self, path: Path, process: "subprocess.Popen[str]") -> None:
        self.path = path
        self._process = process

    def fail(
        self,
        call: str,
        pattern: str = ANY,
        *,
        nth: int = 1,
        error: int = errno.EIO,
        lasting: bool = False,
    ) -> None:
        """Let the nth such call from now fail, and with `lasting` all after it.

        Calls are `sync` (of files and folders, whose paths end with `/`), `read`, `write`,
        `create`, `rename` and `unlink`; paths begin with `/` at the mount.
        """
        self._tell("fail", call, pattern, nth, error, lasting)

    def room(self, size: int) -> None:
        """Let files grow by so many bytes more, in all."""
        self._tell("room", size)

    def turn_read_only(self) -> None:
        """Refuse every change from now on, as the kernel does with a disk that it gave up."""
        self._tell("turn_read_only")

    def mend(self) -> None:
        """Be a good disk again."""
        self._tell("mend")

    def fired(self) -> int:
        """Tell how often a fault was met."""
        return int(self._tell("fired"))

    def syncs(self) -> list[str]:
        """Tell which files and folders were synced so far."""
        return list(self._tell("syncs"))

    def survivors(self, folder: Path) -> Path:
        """Write into a new folder what a power cut now would leave."""
        folder.mkdir()
        self._tell("survivors", str(folder))
        return folder

    def _tell(self, *command: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the file system ended"
        return json.loads(answer)


@contextmanager
def faulty_disk(mount: Path, content: Path | None = None) -> Iterator[FaultyDisk]:
    """Mount a disk, empty or with a folder's content, until the end of the block."""
    need_fuse()
    mount.mkdir()
    command = [sys.executable, "-m", "tests.faults.filesystem", str(mount)]
    process = subprocess.Popen(
        [*command, str(content)] if content else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        _wait_for(mount, process)
        yield FaultyDisk(mount, process)
    finally:
        unmount(mount)
        process.kill()
        process.communicate()


def _wait_for(mount: Path, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + READY_SECONDS
    while not os.path.ismount(mount):
        assert process.poll() is None, "the file system did not start"
        assert time.monotonic() < end, "the file system was not mounted in time"
        time.sleep(0.01)
