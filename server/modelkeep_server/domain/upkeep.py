"""What the server does by itself: at its start, and again and again."""

import math
from functools import partial

from modelkeep_server.blobs import BlobStore
from modelkeep_server.domain.uploads import drop_part
from modelkeep_server.records import kept_answers, sealing, staging
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session

PART_KEPT_US = 24 * 3600 * 1_000_000
"""A staged part that nobody has touched for so long is dropped, in microseconds."""


def begin(records: Records, store: BlobStore) -> None:
    """Take up a folder after a stop or a crash: no leases, and no part without a row.

    Where other servers are, leases and parts may be theirs.
    """
    if records.is_shared:
        return

    def free(session: Session) -> None:
        staging.free_all(session)
        sealing.free_all(session)

    records.bookkeep(free)
    _drop_strays(records, store, math.inf)


def sweep(records: Records, store: BlobStore) -> None:
    """Forget the answers kept for repeats, and the parts that were left, after a day."""
    now = now_us()
    records.bookkeep(lambda session: kept_answers.drop_old(session, now))
    for part in staging.old(records.read(), now - PART_KEPT_US, now):
        if records.bookkeep(partial(staging.drop, part=part)):
            # Also what was published but never had its row.
            drop_part(store, part.size, part.key)
    _drop_strays(records, store, (now - PART_KEPT_US) / 1e6)


def _drop_strays(records: Records, store: BlobStore, before: float) -> None:
    """Drop the parts that no upload knows, last changed before a Unix time."""
    found = store.staged_keys(before)
    known = staging.keys(records.read())
    for key in found:
        if key not in known:
            store.remove_staged(key)
