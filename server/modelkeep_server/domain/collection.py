"""Garbage collection: what nothing refers to goes, beside any traffic, and loses nothing.

* Versions that can't be undeleted any more are purged, each by an event of the server's own.
* A manifest is released when no version keeps it, nobody is sealing it, and its text is past its
  grace time.
* A blob is condemned when nothing refers to it and it is past its grace time: its row goes, so
  that it is missing to everybody, and bytes sent from then on get a key of their own.
* Only what was committed as condemned is removed from the store. A crash in between leaves it
  condemned, for this collection to go on with, or the next.
* While a copy of the records is made, nothing is removed from the store.
* Bytes without any row, as a crash during an upload leaves them, are condemned from the time on
  when they will have been seen for as long as a grace time.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from modelkeep.v1 import admin_service_pb2 as pb
from modelkeep_server.blobs import SHARDS, BlobStore
from modelkeep_server.domain import expiry
from modelkeep_server.domain.operations import Operations, Step
from modelkeep_server.domain.turns import Turn
from modelkeep_server.records import blobs, holding
from modelkeep_server.records import collection as rows
from modelkeep_server.records.clock import common_now_us, now_us
from modelkeep_server.records.encode import message_bytes, timestamp
from modelkeep_server.records.operations import StoredOperation
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call

LOOKED_AT = 1_000
"""Rows that are read at once, beside the writer."""
LISTED = 10_000
"""Files after which a listing rests."""
TAKEN = 200
"""Rows that a transaction takes away: writers wait meanwhile."""

_Begin: TypeAlias = Callable[[pb.Garbage, str, bool], Step | None]


class Collection:
    """The job of `CollectGarbage`. Its cursor is a phase, and how far that is."""

    kind = "collect-garbage"

    def __init__(self, records: Records, store: BlobStore) -> None:
        """Collect what these have."""
        self._records = records
        self._store = store
        self._phases: dict[str, _Begin] = {
            "versions": self._purge,
            "manifests": self._release,
            "blobs": self._condemn,
            "files": self._note_files,
            "condemned": self._remove,
        }

    def step(self, operation: StoredOperation, _turn: Turn) -> Step | None:
        """Begin the next step; nothing where there is none."""
        phase, _, after = (operation.cursor or "versions:").partition(":")
        dry_run = _request(operation).dry_run
        return self._phases[phase](_progress(operation), after, dry_run)

    def metadata(self, operation: StoredOperation) -> pb.CollectGarbageMetadata:
        """Tell how far an operation is."""
        return pb.CollectGarbageMetadata(
            principal=operation.principal,
            create_time=timestamp(operation.created_us),
            dry_run=_request(operation).dry_run,
            garbage=_progress(operation),
        )

    def response(self, operation: StoredOperation) -> pb.CollectGarbageResponse:
        """Tell what came of an operation that is done."""
        return pb.CollectGarbageResponse(
            dry_run=_request(operation).dry_run, garbage=_progress(operation)
        )

    def _purge(self, garbage: pb.Garbage, after: str, dry_run: bool) -> Step | None:
        found = rows.versions(self._records.read(), _number(after), TAKEN, now_us())
        if not found:
            return self._release(garbage, "", dry_run)
        purged = found if dry_run else [v for v in found if expiry.purge(self._records, v)]
        garbage.purged_versions += len(purged)
        return _looked(garbage, f"versions:{found[-1]}")

    def _release(self, garbage: pb.Garbage, after: str, dry_run: bool) -> Step | None:
        page = rows.manifests(self._records.read(), _number(after), LOOKED_AT, now_us())
        if page is None:
            return self._condemn(garbage, "", dry_run)
        if dry_run or not page.found:
            garbage.looked_at += len(page.ids)
            garbage.released_manifests += len(page.found)
            return _looked(garbage, f"manifests:{page.ids[-1]}")
        return partial(_release, page, garbage, _number(after))

    def _condemn(self, garbage: pb.Garbage, after: str, dry_run: bool) -> Step | None:
        page = rows.blobs(self._records.read(), _number(after), LOOKED_AT, now_us())
        if page is None:
            return None if dry_run else self._note_files(garbage, SHARDS[0], dry_run)
        if dry_run or not page.found:
            garbage.looked_at += len(page.ids)
            garbage.condemned_blobs += len(page.found)
            garbage.condemned_bytes += page.size
            return _looked(garbage, f"blobs:{page.ids[-1]}")
        return partial(_condemn, page, garbage)

    def _note_files(self, garbage: pb.Garbage, first: str, dry_run: bool) -> Step | None:
        """Note the published bytes that no row knows, of so many shards as are soon read."""
        there: dict[str, int] = {}
        shards = iter(SHARDS[SHARDS.index(first) :])
        for shard in shards:
            there |= self._store.files.published(shard)
            if len(there) > LISTED:
                break
        lost = rows.unknown(self._records.read(), first, shard, there)
        behind = next(shards, None)
        if behind is not None:
            return partial(_note, lost, garbage, f"files:{behind}")
        return (
            partial(_note, lost, garbage, "condemned:")
            if lost
            else self._remove(garbage, "", dry_run)
        )

    def _remove(self, garbage: pb.Garbage, after: str, _dry_run: bool) -> Step | None:
        session = self._records.read()
        due = rows.due(session, after, TAKEN, now_us())
        now = common_now_us(session, is_shared=self._records.is_shared)
        if not due or holding.is_held(session, now):
            return None  # what is held stays condemned, for the next collection
        self._store.remove(*(one.key for one in due if not one.kept))
        return partial(_forget, due, garbage)


def ask(
    records: Records, operations: Operations, call: Call, request: pb.CollectGarbageRequest
) -> Answer:
    """Ask for a collection. It deletes bytes, so who asked is on the log; not for a dry run."""

    def work(tx: Transaction) -> bytes:
        asked = operations.ask(tx, Collection.kind, request, changes=not request.dry_run)
        return message_bytes(asked)

    answer = records.change(call, "collection.started", work)
    operations.wake()
    return answer


def _looked(garbage: pb.Garbage, cursor: str) -> Step:
    return lambda _: (cursor, garbage)


def _release(
    page: rows.Page, garbage: pb.Garbage, after: int, session: Session
) -> tuple[str, pb.Garbage]:
    """Release what a page found, as much as one transaction may."""
    so_far, room, last = _copy(garbage), TAKEN, page.ids[-1]
    for manifest in page.found:
        files = rows.release(session, manifest, room, now_us())
        if files == room:
            last = after  # more of this one comes next
            break
        after = manifest
        if files is not None:
            so_far.released_manifests += 1
            room -= files + 1
        if room <= 0:
            last = manifest
            break
    so_far.looked_at += page.up_to(last)
    return f"manifests:{last}", so_far


def _condemn(page: rows.Page, garbage: pb.Garbage, session: Session) -> tuple[str, pb.Garbage]:
    """Condemn what a page found, as much as one transaction may."""
    so_far = _copy(garbage)
    some = page.found[:TAKEN]
    count, size = rows.condemn(session, some, now_us())
    so_far.condemned_blobs += count
    so_far.condemned_bytes += size
    last = some[-1] if len(some) < len(page.found) else page.ids[-1]
    so_far.looked_at += page.up_to(last)
    return f"blobs:{last}", so_far


def _note(
    lost: dict[str, int], garbage: pb.Garbage, cursor: str, session: Session
) -> tuple[str, pb.Garbage]:
    rows.note(session, lost, now_us() + blobs.GRACE_US)
    return cursor, garbage


def _forget(due: list[rows.Due], garbage: pb.Garbage, session: Session) -> tuple[str, pb.Garbage]:
    so_far = _copy(garbage)
    for one in due:
        # Another collection may have removed it as well: it counts once.
        if rows.forget(session, one.key) and not one.kept:
            so_far.deleted_blobs += 1
            so_far.deleted_bytes += one.size
    return f"condemned:{due[-1].key}", so_far


def _copy(garbage: pb.Garbage) -> pb.Garbage:
    """Count on a copy: a transaction may be run again."""
    copy = pb.Garbage()
    copy.CopyFrom(garbage)
    return copy


def _number(after: str) -> int:
    return int(after or 0)


def _request(operation: StoredOperation) -> pb.CollectGarbageRequest:
    return pb.CollectGarbageRequest.FromString(operation.request)


def _progress(operation: StoredOperation) -> pb.Garbage:
    return pb.Garbage.FromString(operation.progress)
