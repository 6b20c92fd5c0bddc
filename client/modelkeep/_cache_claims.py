"""Claims: which process is downloading a blob, so that others wait instead of doing it too.

A claim is a file made with O_EXCL beside the part; its holder touches it every 5 seconds, and
after 30 without that it's anyone's. On the holder's own machine a dead process holds nothing.
Losing a claim costs a second download, never wrong bytes: each holder writes a part of its own.
"""

import contextlib
import json
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

from modelkeep._disk import create, token

TOUCH_SECONDS = 5.0
STALE_SECONDS = 30.0


@dataclass(slots=True)
class Claims:
    """The claims that this pull holds in a folder of parts; ends with a `with` block."""

    folder: Path
    _held: dict[str, Path] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def take(self, key: str, part: str) -> str | None:
        """Claim a key for a part; gives the part that a dead holder left, `""`, or `None` if held.

        A part that was left may be gone on with: nobody writes to it any more.
        """
        path, left = self.folder / f"{key.removeprefix('sha256:')}.claim", ""
        while True:
            try:
                descriptor = create(path, 0o644)
            except FileExistsError:
                abandoned = self._break(path)
                if abandoned is None:
                    return None
                left = left or abandoned
                continue
            with os.fdopen(descriptor, "w") as file:
                json.dump({"host": host(), "process": os.getpid(), "part": part}, file)
            self._held[key] = path
            self._keep()
            return left

    def release(self, key: str) -> None:
        """Give a claim up."""
        if (path := self._held.pop(key, None)) is not None:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give all claims up."""
        self._stop.set()
        for key in list(self._held):
            self.release(key)

    def _break(self, path: Path) -> str | None:
        """Remove a claim that nobody holds; gives the part it was for, or `None` if it's held."""
        try:
            found, part, dead = self._look(path)
        except FileNotFoundError:
            return ""
        if not dead and self._now() - found.st_mtime <= STALE_SECONDS:
            return None
        aside = path.with_name(f"{path.name}.{token()}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, aside)
            if _identity(aside.stat()) != _identity(found):  # someone was faster; it's held again
                with contextlib.suppress(FileExistsError):
                    os.link(aside, path)
                part = ""
            aside.unlink()
        return part if dead else ""

    def _look(self, path: Path) -> tuple[os.stat_result, str, bool]:
        """Give a claim's file, its part, and whether its holder is known to be dead."""
        found = path.stat()
        try:
            claim = json.loads(path.read_text())
            part, process = str(claim["part"]), int(claim["process"])
            return found, Path(part).name, claim["host"] == host() and not _lives(process)
        except (ValueError, KeyError, TypeError):  # being written, or cut off
            return found, "", False

    def _now(self) -> float:
        """Tell the time by the clock that the claims' files have."""
        probe = self.folder / f"{token()}.clock"
        try:
            os.close(create(probe))
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def _keep(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._touch, name="modelkeep-claims", daemon=True
            )
            self._thread.start()

    def _touch(self) -> None:
        while not self._stop.wait(TOUCH_SECONDS):
            for path in list(self._held.values()):
                with contextlib.suppress(OSError):
                    os.utime(path)


def _identity(state: os.stat_result) -> tuple[int, int]:
    # A number alone says little: a file system may give it to the next file at once.
    return state.st_ino, state.st_mtime_ns


def host() -> str:
    """Tell which machine this is, and which of its containers: process ids mean nothing beyond."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
