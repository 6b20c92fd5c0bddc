"""Clients that follow the whole log: each must see every event once, all in one order."""

import hashlib
import time
from typing import Any

import grpc
from tests.faults.asking import Asking
from tests.services.wire import Registry, status
from tests.soak.replicas import BALANCED

from modelkeep.v1 import event_service_pb2

_SECONDS = 120


class Follower(Asking):
    """A client that follows the log, and what it saw."""

    channel_options = BALANCED

    def __init__(self, address: str, name: str) -> None:
        super().__init__(address, name)
        self.position = 0
        self._seen = hashlib.sha256()
        self._call: Any = None

    def order(self, position: int) -> str:
        """Wait until it has seen so much of the log, end it, and tell the order that it saw."""
        end = time.monotonic() + _SECONDS
        while self.position < position and not self.is_over and time.monotonic() < end:
            time.sleep(0.05)
        self.ask_to_stop()
        if self._call is not None:
            self._call.cancel()
        self.stop()
        return f"{self.position} {self._seen.hexdigest()}"

    def _act(self, registry: Registry) -> None:
        request = event_service_pb2.WatchEventsRequest(after_position=self.position)
        self.calls += 1
        try:
            self._call = registry.events.WatchEvents(request)
            for content in self._call:
                if content.HasField("event"):
                    event = content.event
                    assert event.position == self.position + 1, f"{event} after {self.position}"
                    self.position = event.position
                    self._seen.update(event.record.event_id.encode())
        except grpc.RpcError as error:
            if self._stop.is_set():
                return
            if not self._hear(error) and status(error).code != "DEADLINE_EXCEEDED":
                raise
            self._stop.wait(0.2)


def order_of_log(registry: Registry) -> str:
    """Tell the log's order, as followers do."""
    ids = []
    request = event_service_pb2.ListEventsRequest(page_size=1000)
    while True:
        page = registry.events.ListEvents(request)
        ids += [event.record.event_id for event in page.events]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    seen = hashlib.sha256("".join(reversed(ids)).encode())
    return f"{len(ids)} {seen.hexdigest()}"
