"""A registry's blobs, copied from one store to another under the keys that they have.

* A key is never used for other bytes, so what the other has under it, of the same size, is not
  sent again: that is what makes a backup incremental, and lets what was cut short go on.
* Every block is checked on the way, and every blob by its digest. The first that is wrong ends
  the copying, with its name; nothing of it can be read there.
* What was copied is durable before the rows are that name it.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

from modelkeep.errors import DataLossError
from modelkeep_server.blobs import BlobFiles, BlobReader, BlobStore, read_checked
from modelkeep_server.records import survey
from modelkeep_server.records.sql import Session
from modelkeep_server.values.moves import Copied
from modelkeep_server.values.stored_blob import StoredBlob

# Most blobs are small, and each waits for its disk or its store.
_LANES = 8

Tell = Callable[[Copied], None]


@dataclass(frozen=True, slots=True)
class Stores:
    """From where to where blobs are copied; `there` is what the latter has."""

    source: BlobReader
    target: BlobStore
    there: BlobFiles


def copy_blobs(session: Session, stores: Stores, tell: Tell) -> Copied:
    """Copy the blobs of these records that are not there yet."""
    so_far = Copied(*survey.blob_totals(session))
    stop = threading.Event()
    waiting: deque[tuple[StoredBlob, Future[None]]] = deque()
    with ThreadPoolExecutor(_LANES, thread_name_prefix="copying") as lanes:
        try:
            for blob, is_there in _blobs(session, stores.there):
                if is_there:
                    so_far = _add(so_far, there=1, there_bytes=blob.size)
                else:
                    waiting.append((blob, lanes.submit(_copy, stores, blob, stop)))
                while len(waiting) > 2 * _LANES:
                    so_far = _next(waiting, so_far)
                tell(so_far)
            while waiting:
                so_far = _next(waiting, so_far)
                tell(so_far)
        except BaseException:
            stop.set()
            raise
    return so_far


def _next(waiting: deque[tuple[StoredBlob, Future[None]]], so_far: Copied) -> Copied:
    blob, copying = waiting.popleft()
    copying.result()
    return _add(so_far, sent=1, sent_bytes=blob.size)


def _add(so_far: Copied, **more: int) -> Copied:
    return replace(so_far, **{name: getattr(so_far, name) + n for name, n in more.items()})


def _blobs(session: Session, there: BlobFiles) -> Iterator[tuple[StoredBlob, bool]]:
    """Yield all blobs, by key, and whether they are there; a shard is listed at a time."""
    for shard, blobs in groupby(survey.blobs(session), key=lambda blob: blob.key[:2]):
        sizes = there.published(shard)
        for blob in blobs:
            yield blob, sizes.get(blob.key) == blob.size


def _copy(stores: Stores, blob: StoredBlob, stop: threading.Event) -> None:
    part = stores.target.stage(blob.size, blob.key)
    try:
        part.truncate(0)
        sha256 = hashlib.sha256()
        for block in read_checked(stores.source, blob, 0, blob.size):
            if stop.is_set():
                part.discard()
                return
            sha256.update(block)
            part.write(block)
        _check(blob, sha256.hexdigest())
        is_certain = part.publish()
    except BaseException:
        part.discard()
        raise
    if not is_certain:
        _check_there(stores.target, blob)


def _check_there(target: BlobReader, blob: StoredBlob) -> None:
    """Read back what another may have written under the key."""
    sha256 = hashlib.sha256()
    for block in read_checked(target, blob, 0, blob.size):
        sha256.update(block)
    _check(blob, sha256.hexdigest())


def _check(blob: StoredBlob, actual: str) -> None:
    if f"sha256:{actual}" != blob.digest:
        raise DataLossError(
            "BLOB_DAMAGED",
            f"the stored bytes of {blob.digest} are those of sha256:{actual}",
            digest=blob.digest,
            offset=0,
        )
