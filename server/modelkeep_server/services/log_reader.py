"""What watches read of the log: the same for all that a commit wakes, so it is read once.

Watches are coroutines. A database that is far away is read in a thread meanwhile.
"""

import asyncio
from collections import OrderedDict
from functools import lru_cache
from typing import TypeAlias

from modelkeep.v1 import event_service_pb2 as pb
from modelkeep_server.records import log
from modelkeep_server.records.records import Records

_BATCH = 20
_KEPT = 8

Batch: TypeAlias = list[tuple[int, bytes]]
"""Events, each with its position, as watches send them."""
Place: TypeAlias = tuple[str, int, int]
"""A resource, and the positions after which and up to which its events are asked for."""


class LogReader:
    """Reads the log for coroutines."""

    def __init__(self, records: Records) -> None:
        """Read these records."""
        self._records = records
        self._kept = lru_cache(_KEPT)(self._read)
        self._reading: OrderedDict[Place, asyncio.Task[Batch]] = OrderedDict()

    async def position(self) -> int:
        """Tell the position of the last event."""
        if self._records.is_shared:
            return await asyncio.to_thread(self._records.position)
        return self._records.position()

    async def after(self, resource: str, position: int, end: int) -> Batch:
        """Read the next events of a resource and what lies in it."""
        if self._records.is_shared:
            return await asyncio.shield(self._shared((resource, position, end)))
        return self._kept(resource, position, end)

    def _shared(self, place: Place) -> asyncio.Task[Batch]:
        """Read in a thread, or wait for who already does."""
        reading = self._reading.get(place)
        if reading is None or (reading.done() and _failed(reading)):
            reading = asyncio.create_task(asyncio.to_thread(self._read, *place))
            self._reading[place] = reading
            if len(self._reading) > _KEPT:
                self._reading.popitem(last=False)
        return reading

    def _read(self, resource: str, after: int, end: int) -> Batch:
        found = log.after(self._records.read(), resource, after, _BATCH, end)
        return [
            (event.position, pb.WatchEventsResponse(event=event).SerializeToString())
            for event in found
        ]


def _failed(reading: "asyncio.Task[Batch]") -> bool:
    return reading.cancelled() or reading.exception() is not None
