"""Who of this process writes which part: the last who took it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from modelkeep.errors import AbortedError


class Writer(Protocol):
    """A part that is being written."""

    @property
    def key(self) -> str:
        """The part's key."""

    def lose(self) -> None:
        """Change nothing any more: the part is someone else's from now on."""


class Writers:
    """Who writes which part."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._lock = threading.Lock()
        self._parts: dict[str, Writer] = {}
        self._put: set[str] = set()

    def take(self, part: Writer) -> None:
        """Make this the writer, once the one before has stopped."""
        with self._lock:
            earlier = self._parts.get(part.key)
            self._parts[part.key] = part
        if earlier is not None:
            earlier.lose()

    def leave(self, part: Writer) -> None:
        """Take note that this one writes no more."""
        with self._lock:
            if self._parts.get(part.key) is part:
                del self._parts[part.key]

    @contextmanager
    def putting(self, keys: Sequence[str]) -> Iterator[None]:
        """Mark files that are no parts, while they are written."""
        with self._lock:
            self._put.update(keys)
        try:
            yield
        finally:
            with self._lock:
                self._put.difference_update(keys)

    def free(self, keys: Sequence[str]) -> list[str]:
        """Tell which of these nobody writes."""
        with self._lock:
            return [key for key in keys if not self._is_busy(key)]

    @contextmanager
    def unless_busy(self, key: str) -> Iterator[bool]:
        """Tell whether nobody writes this, and let nobody begin meanwhile."""
        with self._lock:
            yield not self._is_busy(key)

    def _is_busy(self, key: str) -> bool:
        return key in self._parts or key in self._put


def lost() -> AbortedError:
    """Say that a part is someone else's now."""
    return AbortedError("UPLOAD_LEASE_LOST", "another upload went on with this part")
