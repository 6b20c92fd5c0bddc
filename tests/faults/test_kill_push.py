"""A push of a large file whose client or server is killed, at a random moment.

The version is invisible or whole; what was acknowledged is never sent again, and at most 16 MiB of
what the server had seen; in the end the bytes are right.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Thread

import grpc
import pytest
from tests.client.proxy import Proxy
from tests.faults.counting_server import count, serve, start_counting
from tests.faults.forked import ForkedServer
from tests.rounds import Tally, check_kept, seed, spread
from tests.services.wire import Registry
from tests.verified import check_sound

from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1 import asset_service_pb2

MIB = 1 << 20
BLOCK = 64 * MIB
AGAIN = 16 * MIB
"""How much of what the server had seen may be sent again."""

# The SDK, saying each time what it was told to be durable: progress is shown ten times a second.
PUSH = """
import sys, modelkeep
from modelkeep._upload_stream import Blob

def told(blob, durable, complete, meter):
    if blob.file:
        print(durable, flush=True)
    note(blob, durable, complete, meter)

note, Blob.note = Blob.note, told
with modelkeep.Client(sys.argv[1], cache=sys.argv[2], user="tester") as registry:
    registry.push("big", sys.argv[3])
"""


@dataclass(frozen=True)
class Model:
    """A file, its size in bytes and its digest."""

    path: Path
    size: int
    digest: str


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A file of 1 GiB that is like no other; of less where the disk takes seconds for that."""
    path = tmp_path_factory.mktemp("push") / "model"
    block, sha256 = os.urandom(BLOCK), hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for number in range(_blocks(path.parent)):
            for piece in (number.to_bytes(8), block):
                file.write(piece)
                sha256.update(piece)
    yield Model(path, path.stat().st_size, f"sha256:{sha256.hexdigest()}")
    path.unlink()


def _blocks(place: Path) -> int:
    started = time.monotonic()
    with (place / "probe").open("wb") as probe:
        probe.write(bytes(BLOCK))
        os.fsync(probe.fileno())
    return 16 if time.monotonic() - started < 2 else 4


class Push:
    """A client in a process of its own, and how much it knows to be durable."""

    def __init__(self, proxy: Proxy, cache: Path, model: Path) -> None:
        self.acknowledged = 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", PUSH, proxy.address, str(cache), str(model)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listener = Thread(target=self._listen)
        self._listener.start()

    def wait_for(self, size: int) -> None:
        """Wait until so much is durable, or it ends."""
        while self.acknowledged < size and self._process.poll() is None:
            time.sleep(0.001)

    def kill(self) -> None:
        self._process.kill()
        self.end()

    def end(self) -> int:
        """Wait until it ends, and tell its exit code."""
        code = self._process.wait(timeout=120)
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.acknowledged = max(self.acknowledged, int(line))


class Round:
    """A server that can be killed, and a way to it that stays."""

    def __init__(self, place: Path, model: Model) -> None:
        self._place = place
        self._model = model
        self._counter = place / "seen"
        start_counting(self._counter)
        self.server = self._serve()
        self.proxy = Proxy(self.server.address)

    def push(self) -> Push:
        """Begin a push."""
        return Push(self.proxy, self._place / "cache", self._model.path)

    def seen(self) -> int:
        """Tell how many bytes the servers have seen."""
        return count(self._counter)

    def restart(self) -> None:
        """Kill the server, and start another."""
        self.server.kill()
        self.server = self._serve()
        self.proxy.lead_to(self.server.address)

    def numbers(self) -> list[int]:
        """List the versions that are visible, each of which is whole."""
        with grpc.insecure_channel(self.server.address) as channel:
            registry = Registry(channel, "default")
            request = asset_service_pb2.ListAssetsRequest(parent=registry.name)
            if not registry.assets.ListAssets(request).assets:
                return []
            assert _digest(registry) == self._model.digest
            return registry.numbers("big")

    def durable(self) -> int:
        """Tell how many bytes the server says are durable."""
        with grpc.insecure_channel(self.server.address) as channel:
            missing = Registry(channel, "default").missing(self._model.digest)
        return missing.get(self._model.digest, self._model.size)

    def _serve(self) -> ForkedServer:
        return ForkedServer(self._place / "log", serve, self._place / "data", self._counter)


def _digest(registry: Registry) -> str:
    """Download the file, and name its bytes."""
    sha256 = hashlib.sha256()
    request = artifacts.DownloadFilesRequest(
        version=registry.version(1, "big"), ranges=[artifacts.FileRange(path="model")]
    )
    for response in registry.artifacts.DownloadFiles(request, timeout=120):
        for piece in response.chunks:
            sha256.update(piece.data)
    return f"sha256:{sha256.hexdigest()}"


Begin = Callable[[], AbstractContextManager[Round]]
PAUSE_SECONDS = 0.02
"""How long after a moment at most there is a kill."""


@pytest.fixture
def begin(tmp_path: Path, model: Model, tally: Tally) -> Begin:
    """Begin a round; its server ends and its bytes go with it."""
    tally.notes["bytes"] = model.size  # less on a slow disk

    @contextmanager
    def begin() -> Iterator[Round]:
        place = tmp_path / "round"
        place.mkdir()
        new = Round(place, model)
        try:
            tally.tried += 1
            with tally.counting_faults():
                with new.proxy:
                    yield new
                new.server.kill()
                check_sound(place / "data")
        finally:
            new.server.kill()
            shutil.rmtree(place)

    return begin


def _push(one: Round, at: int, random: Random) -> Push:
    """Push until a moment after so much is durable."""
    push = one.push()
    push.wait_for(at)
    time.sleep(random.random() * PAUSE_SECONDS)
    return push


def _random() -> Random:
    """Choose pauses that don't go with the moments of `spread`."""
    return Random(f"pauses {seed()}")


@pytest.mark.rounds("sigkill")
@pytest.mark.timeout(3000)
@pytest.mark.xdist_group("push")
@pytest.mark.parametrize("victims", ["client", "client and server"])
def test_the_push_after_a_kill_sends_again_little_and_nothing_acknowledged(
    begin: Begin, model: Model, victims: str
) -> None:
    random = _random()
    for at in spread(model.size, 2, 17):
        with begin() as one:
            killed = _push(one, at, random)
            if "server" in victims:
                one.server.kill()  # before it hears that the client is gone, and saves what it has
            killed.kill()
            if "server" in victims:
                one.restart()
            visible, seen, sent = one.numbers(), one.seen(), one.proxy.sent
            assert visible in ([], [1])
            check_kept(one.durable() >= killed.acknowledged, "durable bytes")

            assert one.push().end() == 0
            assert one.numbers() == list(range(len(visible) + 1, 0, -1))
            left = model.size - killed.acknowledged
            check_kept(one.seen() - seen <= left, "durable bytes are sent again")
            assert one.proxy.sent - sent <= left * 1.01 + MIB
            assert one.seen() <= model.size + AGAIN


@pytest.mark.rounds("sigkill")
@pytest.mark.timeout(3000)
@pytest.mark.xdist_group("push")
def test_a_push_whose_server_is_killed_goes_on_with_the_next(begin: Begin, model: Model) -> None:
    random = _random()
    for at in spread(model.size, 1, 16):
        with begin() as one:
            push = _push(one, at, random)
            one.server.kill()
            acknowledged, seen = push.acknowledged, one.seen()
            one.restart()
            check_kept(one.durable() >= acknowledged, "durable bytes")

            # One that the server has not told anything yet gives up; the next goes on.
            assert push.end() == 0 or one.push().end() == 0
            assert one.numbers() == [1]
            check_kept(one.seen() - seen <= model.size - acknowledged, "bytes are sent again")
            assert one.seen() <= model.size + AGAIN
