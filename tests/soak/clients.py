"""A client with an asset of its own, which knows what that must be: it is the only one to write it.

Its calls go to all replicas in turn, so it reads from one what it wrote to another.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from enum import Enum
from random import Random

import grpc
from tests.faults.asking import Asking
from tests.services.wire import Registry, download, status
from tests.soak import contents
from tests.soak.contents import Files
from tests.soak.replicas import BALANCED

from modelkeep.v1 import asset_service_pb2, event_service_pb2, version_service_pb2

_PAUSES = (1.0, 5.0)
_MOST_LIVE = 6
_COLLECTED_MEANWHILE = {"BLOBS_MISSING", "MANIFEST_NOT_SEALED", "STORAGE_BUSY"}


class State(Enum):
    """What became of a version."""

    LIVE = "live"
    DELETED = "deleted"
    PURGED = "purged"


class Client(Asking):
    """A client, what it was told, and what was acknowledged to it."""

    channel_options = BALANCED

    def __init__(self, address: str, name: str, seed: int) -> None:
        super().__init__(address, name)
        self.acknowledged = 0
        self.bytes = 0
        self.collected_meanwhile = 0
        self._random = Random(f"{seed}-{name}")
        self._states: dict[int, State] = {}
        self._files: dict[int, Files] = {}
        self._best = 0
        self._acts: dict[Callable[[Registry], None], int] = {
            self._push: 20,
            self._pull: 25,
            self._get: 20,
            self._list: 10,
            self._move_alias: 10,
            self._delete: 8,
            self._undelete: 2,
            self._purge: 5,
            self._watch: 3,
        }

    def faults(self, r: Registry) -> Iterator[tuple[str, str]]:
        """Tell what was acknowledged and is lost, or is there and is wrong."""
        if not self._states:
            return
        if (there := self._numbers(r, show_deleted=True)) != sorted(self._states):
            yield "lost", f"{self.name} has {there}, and was told of {sorted(self._states)}"
            return
        for number, state in self._states.items():
            yield from self._faults(r, number, state)
        if self._best and r.get("@best", self.name).number != self._best:
            yield "lost", f"{self.name}@best is not {self._best}"

    def _faults(self, r: Registry, number: int, state: State) -> Iterator[tuple[str, str]]:
        version = r.get(number, self.name)
        if (version.HasField("delete_time"), version.purged) != _told(state):
            yield "lost", f"{self.name}:{number} is not {state.value} any more"
        elif state is State.LIVE:
            try:
                got = self._download(r, number)
            except grpc.RpcError as error:
                yield "lost", f"{self.name}:{number}: {status(error)}"
                return
            if got != contents.data(self._files[number]):
                yield "wrong", f"{self.name}:{number} has other bytes"

    def _act(self, registry: Registry) -> None:
        act = self._random.choices(list(self._acts), list(self._acts.values()))[0]
        act(registry)
        self._stop.wait(self._random.uniform(*_PAUSES))

    def _push(self, r: Registry) -> None:
        if len(self._in(State.LIVE)) >= _MOST_LIVE:
            return self._delete(r)
        files = contents.choose(self._random, self.name)
        number = self._made(r, contents.data(files))
        assert number == len(self._states) + 1, f"{self.name} was given {number}: {self._states}"
        self._note(number, State.LIVE)
        self._files[number] = files
        return None

    def _made(self, r: Registry, data: dict[str, bytes]) -> int:
        """Push as the SDK does: what was collected meanwhile is sent again."""
        request_id = str(uuid.uuid4())
        self.bytes += sum(map(len, data.values()))
        while True:
            try:
                sealed = self._insist(lambda: r.seal(data))
                return self._insist(
                    lambda: r.create(self.name, sealed, request_id=request_id)  # noqa: B023
                ).number
            except grpc.RpcError as error:
                if status(error).reason not in _COLLECTED_MEANWHILE:
                    raise
                self.collected_meanwhile += 1

    def _pull(self, r: Registry) -> None:
        if number := self._any(State.LIVE):
            got = self._insist(lambda: self._download(r, number))
            assert got == contents.data(self._files[number]), f"{self.name}:{number} is wrong"
            self.bytes += sum(map(len, got.values()))

    def _get(self, r: Registry) -> None:
        if self._best:
            got = self._insist(lambda: r.get("@best", self.name))
            assert got.number == self._best, f"{self.name}@best is {got.number}, not {self._best}"
        elif number := self._any(State.LIVE):
            assert self._insist(lambda: r.get(number, self.name)).number == number

    def _list(self, r: Registry) -> None:
        if self._states:
            there = self._insist(lambda: self._numbers(r))
            assert there == sorted(self._in(State.LIVE)), f"{self.name} has {there}: {self._states}"
        page = asset_service_pb2.ListAssetsRequest(parent=r.name, page_size=100)
        self._insist(lambda: r.assets.ListAssets(page))

    def _move_alias(self, r: Registry) -> None:
        if number := self._any(State.LIVE, but=self._best):
            request_id = str(uuid.uuid4())
            self._insist(lambda: r.set_alias("best", number, self.name, request_id=request_id))
            self._best = number
            self.acknowledged += 1

    def _delete(self, r: Registry) -> None:
        if number := self._any(State.LIVE, but=self._best):
            request = version_service_pb2.DeleteVersionRequest(
                name=r.version(number, self.name), request_id=str(uuid.uuid4())
            )
            self._insist(lambda: r.versions.DeleteVersion(request, metadata=r.metadata))
            self._note(number, State.DELETED)

    def _undelete(self, r: Registry) -> None:
        if number := self._any(State.DELETED):
            request = version_service_pb2.UndeleteVersionRequest(
                name=r.version(number, self.name), request_id=str(uuid.uuid4())
            )
            self._insist(lambda: r.versions.UndeleteVersion(request, metadata=r.metadata))
            self._note(number, State.LIVE)

    def _purge(self, r: Registry) -> None:
        if number := self._any(State.DELETED):
            request = version_service_pb2.PurgeVersionRequest(
                name=r.version(number, self.name), reason="soak", request_id=str(uuid.uuid4())
            )
            self._insist(lambda: r.versions.PurgeVersion(request, metadata=r.metadata))
            self._note(number, State.PURGED)
            del self._files[number]

    def _watch(self, r: Registry) -> None:
        """See one's own write on the log, unless the watch breaks off."""
        if not self._any(State.LIVE, but=self._best):
            return
        request = event_service_pb2.WatchEventsRequest(resource=r.asset(self.name))
        self.calls += 1
        events = r.events.WatchEvents(request)
        try:
            next(events)  # the bookmark: from here on nothing is missed
            self._move_alias(r)
            start = time.monotonic()
            event = next(content.event for content in events if content.HasField("event"))
            self.slowest = max(self.slowest, time.monotonic() - start)
        except grpc.RpcError as error:
            if not self._hear(error) and status(error).code != "DEADLINE_EXCEEDED":
                raise
            return
        finally:
            events.cancel()
        assert event.record.act == "alias.set", event

    def _download(self, r: Registry, number: int) -> dict[str, bytes]:
        files = self._files[number]
        return dict(zip(files, download(r, r.version(number, self.name), *files), strict=True))

    def _numbers(self, r: Registry, *, show_deleted: bool = False) -> list[int]:
        found: list[int] = []
        request = version_service_pb2.ListVersionsRequest(
            parent=r.asset(self.name), page_size=1000, show_deleted=show_deleted
        )
        while True:
            page = r.versions.ListVersions(request)
            found += [version.number for version in page.versions]
            request.page_token = page.next_page_token
            if not request.page_token:
                return sorted(found)

    def _note(self, number: int, state: State) -> None:
        self._states[number] = state
        self.acknowledged += 1

    def _in(self, state: State) -> list[int]:
        return [number for number, its in self._states.items() if its is state]

    def _any(self, state: State, but: int = 0) -> int:
        """Choose a version in a state; 0 where there is none."""
        found = [number for number in self._in(state) if number != but]
        return self._random.choice(found) if found else 0


def _told(state: State) -> tuple[bool, bool]:
    return state is not State.LIVE, state is State.PURGED
