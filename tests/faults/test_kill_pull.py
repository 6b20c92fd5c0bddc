"""A pull whose client or server is killed, at a random moment: its place is empty or whole, the
next pull goes on with what is there, and the bytes are right."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.conftest import content
from tests.client.proxy import Proxy
from tests.faults.counting_server import serve, start_counting
from tests.faults.forked import ForkedServer
from tests.rounds import LostError, Tally, check_kept, spread

import modelkeep
from modelkeep import Client

MIB = 1 << 20
FILES = {"big": os.urandom(MIB) * 64, "other": os.urandom(3 * MIB), "sub/small": b"s"}
SIZE = sum(map(len, FILES.values()))
AGAIN = 20 * MIB
"""What may come again: each stream's block of 4 MiB that was not whole, and the smaller file."""

PULL = """
import sys, modelkeep
with modelkeep.Client(sys.argv[1], cache=sys.argv[2], user="tester") as registry:
    registry.pull("m:1", sys.argv[3] or None, progress=lambda p: print(p.done_bytes, flush=True))
"""


class Site:
    """A server with a version, that can be killed, and a way to it that stays."""

    def __init__(self, place: Path) -> None:
        self._place = place
        start_counting(place / "seen")
        self.server = self._serve()
        self.proxy = Proxy(self.server.address)

    def restart(self) -> None:
        """Kill the server, and start another."""
        self.server.kill()
        self.server = self._serve()
        self.proxy.lead_to(self.server.address)

    def client(self, cache: Path) -> Client:
        return Client(self.proxy.address, cache=cache, user="tester")

    def _serve(self) -> ForkedServer:
        return ForkedServer(self._place / "log", serve, self._place / "data", self._place / "seen")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for path, data in FILES.items():
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_bytes(data)
    site = Site(tmp_path)
    with site.proxy:
        with site.client(tmp_path / "first") as client:
            client.push("m", tmp_path / "out")
        yield site
    site.server.kill()


def _place(tmp_path: Path, into: str, number: int) -> Path | None:
    return tmp_path / f"dest{number}" if into == "a folder" else None


@pytest.mark.rounds("sigkill-pull")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("into", ["a folder", "the cache"])
def test_what_a_killed_pull_left_is_whole_or_gone_on_with(
    site: Site, tmp_path: Path, tally: Tally, into: str
) -> None:
    for number, at in enumerate(spread(SIZE, 2, 25)):
        cache, place = tmp_path / f"cache{number}", _place(tmp_path, into, number)
        heard = _kill_a_pull(site, cache, place, at)
        tally.tried += 1
        with tally.counting_faults():
            if place is not None and place.exists():
                assert content(place) == FILES
            before = site.proxy.received

            with site.client(cache) as client:
                _check(_pull(client, place))

            again = site.proxy.received - before
            check_kept(again < SIZE - heard + AGAIN, "bytes that were here are fetched again")
            assert [name for name in os.listdir(tmp_path) if "modelkeep" in name] == []


@pytest.mark.rounds("sigkill-pull")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("into", ["a folder", "the cache"])
def test_a_pull_whose_server_is_killed_goes_on_with_the_next(
    site: Site, tmp_path: Path, tally: Tally, into: str
) -> None:
    for number, at in enumerate(spread(SIZE, 2, 25)):
        kill = _Kill(site, at)
        tally.tried += 1
        with tally.counting_faults():
            with site.client(tmp_path / f"cache{number}") as client:
                _check(_pull(client, _place(tmp_path, into, number), kill))

            assert kill.done


def _pull(client: Client, place: Path | None, progress: "_Kill | None" = None) -> Path:
    try:
        return client.pull("m:1", place, progress=progress)
    except (modelkeep.NotFoundError, modelkeep.DataLossError) as gone:
        raise LostError("the version") from gone


def _check(pulled: Path) -> None:
    found = content(pulled)
    check_kept(found.keys() >= FILES.keys(), "files of the version")
    assert found == FILES


class _Kill:
    """Kills the server once so much of a pull is here."""

    def __init__(self, site: Site, at: int) -> None:
        self.done = False
        self._site = site
        self._at = at

    def __call__(self, progress: modelkeep.Progress) -> None:
        if progress.done_bytes >= self._at and not self.done:
            self.done = True
            self._site.restart()


def _kill_a_pull(site: Site, cache: Path, place: Path | None, at: int) -> int:
    """Pull in a process, kill it when it has so much, and tell how much that was."""
    command = [sys.executable, "-c", PULL, site.proxy.address, str(cache), str(place or "")]
    heard = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            heard = int(line)
            if heard >= at:
                process.kill()
                break
    return heard
