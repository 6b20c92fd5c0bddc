"""What is stored is what the records say.

* Each blob's file is there, and has its size; read, it has its digest and its blocks' checksums.
* Each part has at least the bytes that were acknowledged as durable. One that was published
  before its row could be written is whole among the blobs.
* What else lies in the folder is bytes that nothing refers to, or is none of modelkeep's.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from modelkeep.errors import DataLossError
from modelkeep_server.blobs import BLOCK, SHARDS, BlobFiles, read_checked
from modelkeep_server.records import blobs, survey
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey import StoredPart
from modelkeep_server.values.findings import Damage, Finding, Orphan
from modelkeep_server.values.stored_blob import StoredBlob
from modelkeep_server.values.subset import Subset

_CHECKSUM_BYTES = 4


def check(
    session: Session, files: BlobFiles, read_data: bool, checked: Counter[str], subset: Subset
) -> Iterator[Finding]:
    """Check the bytes that are stored: a subset of the blobs, and all parts."""
    yield from around(session, files)
    yield from _blobs(session, files, read_data, checked, subset)
    yield from _parts(session, files)


def around(session: Session, files: BlobFiles) -> Iterator[Damage]:
    """Check that there is nothing but blobs, and all places for them."""
    for path in files.strangers():
        yield stranger(path)
    yield from _places(session, files)


def stranger(path: str) -> Damage:
    """Say that something in the folder is none of modelkeep's."""
    return Damage("stranger", path, "is none of modelkeep's; move it out of the data folder")


def _places(session: Session, files: BlobFiles) -> Iterator[Damage]:
    """Where nothing was ever stored, a start that was cut short need not have made them."""
    if blobs.has_any(session):
        for path in files.missing_places():
            yield Damage("folder", path, "is missing, and the blobs that were in it")


def _blobs(
    session: Session, files: BlobFiles, read_data: bool, checked: Counter[str], subset: Subset
) -> Iterator[Finding]:
    """Walk rows and files side by side, a shard at a time."""
    rest = set(subset.take(SHARDS))
    others = set(SHARDS) - rest
    for shard, rows in groupby(survey.blobs(session), key=lambda blob: blob.key[:2]):
        if shard in others:
            continue
        there = files.published(shard) if shard in rest else {}
        rest.discard(shard)
        for blob in rows:
            checked["blobs"] += 1
            yield from check_blob(files, blob, there.pop(blob.key, None), read_data, checked)
        yield from _unknown(session, files, there)
    for shard in sorted(rest):
        yield from _unknown(session, files, files.published(shard))


class Listing:
    """The files of a subset of the shards: each shard's as it was when it was asked for first."""

    def __init__(self, files: BlobFiles, subset: Subset) -> None:
        """List nothing yet."""
        self._files = files
        self._rest = set(subset.take(SHARDS))
        self._others = set(SHARDS) - self._rest
        self._shard = ""
        self._there: dict[str, int] = {}

    def has(self, blob: StoredBlob) -> bool:
        """Tell whether a blob is in the subset."""
        return blob.key[:2] not in self._others

    def size(self, blob: StoredBlob) -> int | None:
        """Tell the size of a blob's file, if there is one. Blobs are best asked for by key."""
        shard = blob.key[:2]
        if shard != self._shard:
            self._shard = shard
            self._there = self._files.published(shard) if shard in self._rest else {}
        return self._there.get(blob.key)


def check_blob(
    files: BlobFiles, blob: StoredBlob, size: int | None, read_data: bool, checked: Counter[str]
) -> Iterator[Damage]:
    """Check a blob's file, which has this size."""
    path = files.shown(blob.key)
    if size is None:
        yield Damage("blob", blob.digest, f"its file {path} is missing")
    elif size != blob.size:
        yield Damage("blob", blob.digest, f"its file {path} has {size} bytes, not {blob.size}")
    elif len(blob.checksums) != -(-blob.size // BLOCK) * _CHECKSUM_BYTES:
        yield Damage("blob", blob.digest, "its checksums are not one for each block")
    elif read_data:
        yield from _bytes(files, blob, path, checked)


def _bytes(
    files: BlobFiles, blob: StoredBlob, path: str, checked: Counter[str]
) -> Iterator[Damage]:
    sha256 = hashlib.sha256()
    try:
        for block in read_checked(files, blob, 0, blob.size):
            sha256.update(block)
            checked["bytes_read"] += len(block)
    except DataLossError as error:
        at = error.metadata["offset"]
        yield Damage("blob", blob.digest, f"its file {path} is wrong in the block at byte {at}")
        return
    except OSError as error:
        yield Damage("blob", blob.digest, f"its file {path} can't be read: {error.strerror}")
        return
    actual = f"sha256:{sha256.hexdigest()}"
    if actual != blob.digest:
        yield Damage("blob", blob.digest, f"its file {path} is that of {actual}")


def _unknown(session: Session, files: BlobFiles, there: dict[str, int]) -> Iterator[Orphan]:
    for key, size in there.items():
        if not survey.is_part(session, key):
            yield Orphan("blob", files.shown(key), size)


def _parts(session: Session, files: BlobFiles) -> Iterator[Finding]:
    there = files.staged()
    for part in survey.parts(session):
        size = there.pop(part.key, None)
        if size is None:
            size = files.staged_size(part.key)
        yield from _part(files, part, size)
    for key, size in there.items():
        yield Orphan("staged", files.shown(key, staged=True), size)


def _part(files: BlobFiles, part: StoredPart, size: int | None) -> Iterator[Damage]:
    path = files.shown(part.key, staged=True)
    if not 0 <= part.durable_size <= part.size:
        yield Damage("staged", part.digest, f"{part.durable_size} of {part.size} bytes are durable")
    # Until something is durable, the file itself need not be.
    elif part.durable_size and size is None:
        yield Damage("staged", part.digest, f"its file {path} is missing")
    elif size is not None and size < part.durable_size:
        yield Damage(
            "staged", part.digest, f"its file {path} has {size} bytes, not {part.durable_size}"
        )
