"""EventService."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from modelkeep.errors import NotFoundError, OutOfRangeError, ResourceExhaustedError
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep_server.domain.checkpoints import Checkpoints, Signed
from modelkeep_server.records import log
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.encode import timestamp
from modelkeep_server.records.records import Records
from modelkeep_server.services.feed import Feed
from modelkeep_server.services.log_reader import LogReader
from modelkeep_server.services.paging import MAX_BYTES, Paging
from modelkeep_server.values.call import Call

BOOKMARK_SECONDS = 30.0
_SLOW_SECONDS = 10.0
"""A reader that takes longer over one event is ended, so that it knows that it is behind."""
_MOST_LEAVES = 10_000


class EventService:
    """The log: who did what to which resources, when."""

    def __init__(
        self,
        records: Records,
        checkpoints: Checkpoints,
        bookmark_seconds: float = BOOKMARK_SECONDS,
    ) -> None:
        """Serve these records; a quiet watch is told its position this often."""
        self._records = records
        self._checkpoints = checkpoints
        self._bookmark_seconds = bookmark_seconds
        self._feed = Feed()
        self._log = LogReader(records)
        records.listen(self._feed.committed)

    def GetEvent(self, request: pb.GetEventRequest, _call: Call) -> bytes:
        found = log.find(self._records.read(), _position(request.name))
        if found is None:
            raise NotFoundError(
                "RESOURCE_NOT_FOUND", f"{request.name} does not exist", resource=request.name
            )
        return found.SerializeToString()

    def ListEvents(self, request: pb.ListEventsRequest, call: Call) -> bytes:
        paging = Paging(self._records.pages, call, request)
        before = int(paging.after[0]) if paging.after else None
        found = log.before(self._records.read(), request.resource, before, paging.limit)
        return paging.answer(([event.position], event.SerializeToString()) for event in found)

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, _call: Call
    ) -> AsyncIterator[bytes | pb.WatchEventsResponse]:
        changed = self._feed.subscribe(request.resource)
        try:
            end = await self._log.position()
            position = request.after_position if request.HasField("after_position") else end
            if position > end:
                raise OutOfRangeError(
                    "POSITION_INVALID",
                    f"the log ends at position {end}, before {position}",
                    field="after_position",
                    position=position,
                    last=end,
                )
            yield self._bookmark(position)
            while True:
                changed.clear()
                end = max(end, self._feed.position)
                while events := await self._log.after(request.resource, position, end):
                    for place, event in events:
                        sent = time.monotonic()
                        yield event
                        position = place
                        if time.monotonic() - sent > _SLOW_SECONDS:
                            raise _too_slow(position)
                position = end
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._bookmark_seconds):
                        await changed.wait()
                if not changed.is_set():
                    yield self._bookmark(position)
        finally:
            self._feed.unsubscribe(request.resource, changed)

    def GetCheckpoint(self, request: pb.GetCheckpointRequest, _call: Call) -> pb.Checkpoint:
        return self._checkpoint(self._checkpoints.at(_size(request)))

    def ProveInclusion(self, request: pb.ProveInclusionRequest, _call: Call) -> pb.InclusionProof:
        position = _position(request.name)
        signed, hashes = self._checkpoints.inclusion(position, _size(request))
        return pb.InclusionProof(
            hashes=hashes,
            leaf=log.leaf(self._records.read(), position),
            index=position - 1,
            checkpoint=self._checkpoint(signed),
        )

    def ProveConsistency(
        self, request: pb.ProveConsistencyRequest, _call: Call
    ) -> pb.ConsistencyProof:
        signed, hashes = self._checkpoints.consistency(request.old_size, _size(request))
        return pb.ConsistencyProof(hashes=hashes, checkpoint=self._checkpoint(signed))

    def ReadLeaves(self, request: pb.ReadLeavesRequest, _call: Call) -> pb.ReadLeavesResponse:
        most = min(request.page_size or _MOST_LEAVES, _MOST_LEAVES)
        kept: list[bytes] = []
        size = 0
        for leaf in log.leaves(self._records.read(), request.after_position, most):
            size += len(leaf)
            if kept and size > MAX_BYTES:
                break
            kept.append(leaf)
        return pb.ReadLeavesResponse(leaves=kept)

    def _checkpoint(self, signed: Signed) -> pb.Checkpoint:
        found, note = signed
        return pb.Checkpoint(
            origin=found.origin,
            size=found.size,
            root_hash=found.root,
            note=note,
            key=str(self._checkpoints.key),
        )

    def _bookmark(self, position: int) -> pb.WatchEventsResponse:
        bookmark = pb.Bookmark(position=position, time=timestamp(now_us()))
        return pb.WatchEventsResponse(bookmark=bookmark)


def _position(name: str) -> int:
    """Read the position in an event's name."""
    return int(name.removeprefix("events/"))


def _size(
    request: pb.GetCheckpointRequest | pb.ProveInclusionRequest | pb.ProveConsistencyRequest,
) -> int | None:
    return request.size if request.HasField("size") else None


def _too_slow(position: int) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        "WATCH_TOO_SLOW",
        f"the reader fell too far behind; go on after position {position}",
        retry_after_seconds=0,
        position=position,
    )
