"""A pull, step by step: which files, what is here already, fetch the rest, put them in place.

A pull into a folder writes each byte once, straight there: it reads the cache, and leaves nothing
in it. A pull without one is what fills the cache.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from modelkeep._cache import Cache
from modelkeep._cache_trees import Entries
from modelkeep._disk import sync_tree
from modelkeep._download import fetch
from modelkeep._folder import Folder, holds
from modelkeep._listing import checked_files, not_what_it_says, read_manifest
from modelkeep._manifest import below, digest_of, manifest_entries, manifest_text
from modelkeep._place import Place
from modelkeep._progress import Meter
from modelkeep._refs import OnProgress
from modelkeep._sinks import CacheSink, Sink, Want
from modelkeep._types import Version
from modelkeep._wire import Wire
from modelkeep.errors import FailedPreconditionError, NotFoundError, UnavailableError
from modelkeep.names import shown

_ROUNDS = 10  # where others take blobs away between their coming and their being used


class Pull:
    """A pull of a version, or of what is at a path in it."""

    def __init__(
        self, wire: Wire, cache: Cache, version: Version, path: str, tell: OnProgress | None
    ) -> None:
        _check_content(version)
        self._wire = wire
        self._cache = cache
        self._version = version
        self._path = path
        self._tell = tell
        self._sizes: dict[str, int] = {}  # by digest, once they were asked for
        self._places: dict[str, str] = {}  # a path in the version, by digest

    def to_cache(self) -> Path:
        """Bring the files into the cache; gives their folder there, or the one file."""
        entries = self._entries()
        name = digest_of(manifest_text(entries).encode())
        folder = self._cache.trees.find(name, entries) or self._make_tree(name, entries)
        one_file = self._places[entries[0][1]] == self._path
        return folder / entries[0][0] if one_file else folder

    def _make_tree(self, name: str, entries: Entries) -> Path:
        self._cache.sweep()
        digests = dict.fromkeys(digest for _, digest in entries)
        for _ in range(_ROUNDS):
            missing = [one for one in digests if self._cache.blobs.find(one) is None]
            self._fetch(missing, CacheSink(self._cache))
            with contextlib.suppress(FileNotFoundError):  # someone makes room just now
                return self._cache.trees.make(name, entries)
        where = shown(str(self._cache.path))
        raise UnavailableError("CACHE_BUSY", f"the cache {where} is emptied all the time")

    def to_folder(self, dest: Path, force: bool) -> Path:
        """Make a folder of the files."""
        place, entries = Place(dest), self._entries()
        if place.taken:
            if holds(place.dest, entries):
                return place.dest
            place.check(force)
        with place.building() as root:
            folder = Folder(root, entries)
            meter = Meter(self._tell, "copying")
            folder.copy_from(self._cache.blobs, folder.missing(), meter)
            meter.finish()
            self._fetch(folder.missing(), folder.sink())
            folder.copy_duplicates()
            sync_tree(folder.files)
            if force or not place.taken or not holds(place.dest, entries):  # by another pull
                place.fill(folder.files, force)
        return place.dest

    def _fetch(self, digests: Sequence[str], sink: Sink) -> None:
        wants = [Want(digest, self._size(digest), self._places[digest]) for digest in digests]
        total = sum(want.size for want in wants)
        meter = Meter(self._tell, "downloading", total, len(wants))
        fetch(self._wire, self._version.name, wants, sink, meter)
        meter.finish()

    def _size(self, digest: str) -> int:
        if not self._sizes:
            files = checked_files(self._wire, self._version, self._path)
            self._sizes = {file.digest: file.size for file in files}
        if digest not in self._sizes:
            raise not_what_it_says(self._version)
        return self._sizes[digest]

    def _entries(self) -> Entries:
        """Give the files that are asked for, by the paths that they'll have."""
        entries = []
        text, self._sizes = read_manifest(self._wire, self._cache, self._version)
        for path, digest in manifest_entries(text):
            if local := below(path, self._path):
                entries.append((local, digest))
                self._places[digest] = path
        if not entries:
            raise NotFoundError(
                "RESOURCE_NOT_FOUND",
                f"{self._version.name} has no file or folder {shown(self._path)}",
                resource=self._version.name,
                path=shown(self._path),
            )
        return entries


def _check_content(version: Version) -> None:
    if version.purged:
        reason, text = "CONTENT_PURGED", "its bytes were released"
    elif version.delete_time:
        reason, text = "VERSION_DELETED", f"it's deleted; undelete {version.reference} first"
    else:
        return
    raise FailedPreconditionError(reason, f"{version.name}: {text}", resource=version.name)
