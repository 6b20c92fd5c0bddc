"""Where fetched bytes go: into the cache, or straight into the folder that a pull builds."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelkeep._cache import Cache
from modelkeep._cache_claims import Claims
from modelkeep._cache_parts import Part, adopt_part, part_name
from modelkeep._disk import create, move, write_all


@dataclass(frozen=True, slots=True)
class Want:
    """A blob to fetch, and a path that it has in the version."""

    digest: str
    size: int
    path: str


class Sink(Protocol):
    """Takes blobs whose digests were checked. Its methods run in many threads at once."""

    def add(self, want: Want, data: bytes) -> None:
        """Keep a small blob."""

    def begin(self, want: Want) -> Part | None:
        """Open a part for a large blob; `None` where another process is fetching it."""

    def finish(self, want: Want, part: Part) -> None:
        """Keep a large blob, whose part is whole and right."""

    def leave(self, part: Part) -> None:
        """Let the next pull go on with a part."""

    def came(self, want: Want) -> bool:
        """Tell whether another process brought a blob."""

    def close(self) -> None:
        """End."""


class CacheSink:
    """Brings blobs into the cache, each by one process of this machine only."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._claims = Claims(cache.parts)

    def add(self, want: Want, data: bytes) -> None:
        """Keep a small blob."""
        self._cache.blobs.add(want.digest, data)

    def begin(self, want: Want) -> Part | None:
        """Claim it; with what an interrupted pull left of it."""
        name = part_name(want.digest)
        left = self._claims.take(want.digest, name)
        if left is None:
            return None
        if self.came(want):  # someone finished it just before
            self._claims.release(want.digest)
            return None
        adopt_part(self._cache.parts, want.digest, name, left)
        return Part(self._cache.parts / name, want.digest, want.size)

    def finish(self, want: Want, part: Part) -> None:
        """Publish it."""
        self._cache.blobs.publish(part.path, want.digest)
        part.forget()
        self._claims.release(want.digest)

    def leave(self, part: Part) -> None:
        """Give it up, for anyone to go on with."""
        part.leave()
        self._claims.release(part.digest)

    def came(self, want: Want) -> bool:
        """Tell whether it's in the cache."""
        return self._cache.blobs.find(want.digest) is not None

    def close(self) -> None:
        """Give all claims up."""
        self._claims.close()


class FolderSink:
    """Puts blobs at their paths in a folder that this process alone works in."""

    def __init__(self, files: Path, parts: Path, places: dict[str, str]) -> None:
        self._files = files
        self._parts = parts
        self._places = places  # a path in the folder, by digest

    def add(self, want: Want, data: bytes) -> None:
        """Write a small file."""
        descriptor = create(self._files / self._places[want.digest])
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def begin(self, want: Want) -> Part | None:
        """Go on with what an interrupted pull left of it."""
        name = want.digest.removeprefix("sha256:")
        self._parts.mkdir(exist_ok=True)
        return Part(self._parts / name, want.digest, want.size)

    def finish(self, want: Want, part: Part) -> None:
        """Give it its path."""
        move(part.path, self._files / self._places[want.digest])
        part.forget()

    def leave(self, part: Part) -> None:
        """Keep it where it is."""
        part.close()

    def came(self, want: Want) -> bool:
        """Tell that nobody else works here."""
        return False

    def close(self) -> None:
        """End."""
