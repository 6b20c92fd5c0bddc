"""Whatever is sent to a server, it answers what is wrong with it, and nothing of it stays."""

import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
from tests.hostile.ledger import Claims, differences, held
from tests.hostile.shots import METHODS, WAYS, Shot, shot
from tests.hostile.vitals import MIB, settled
from tests.hostile.volley import Answered, send, volley
from tests.hostile.world import World, fill
from tests.rounds import Tally, rounds, seed
from tests.services.processes import ServerProcess, registry_of, serving
from tests.verified import check_sound

COUNT = rounds(20_000, 200_000)
# Until then each of the server's threads has filled its cache of the database.
WARM_UP = COUNT // 2
MOST_GROWTH = 32 * MIB
MOST_MANIFESTS = 300
# There are no links into a data folder.
ALWAYS_REFUSED = {"modelkeep.v1.ArtifactService.CreateDownloadLinks"}


class Volley:
    """A server under fire, and what it said."""

    def __init__(self, server: ServerProcess, world: World) -> None:
        self.seed = seed()
        self.wrong: list[Answered] = []
        self.claims = Claims()
        self.answered: Counter[str] = Counter()
        self._server = server
        self._world = world

    def fire(self, numbers: range) -> None:
        """Make the calls of these numbers."""
        volley(self._server.address, numbers, self._aim, self._heed)

    def ask_again(self) -> None:
        """Learn what came of the calls that were broken off."""
        with grpc.insecure_channel(self._server.address) as channel:
            for unsure in self.claims.unsure:
                again = Shot(
                    unsure.number, "again", unsure.method, unsure.messages[:1], unsure.user
                )
                self._heed(send(channel, again))

    def _aim(self, number: int) -> Shot:
        return shot(self.seed, number, self._world)

    def _heed(self, answered: Answered) -> None:
        self.claims.heed(answered)
        self.answered[answered.shot.method.full_name] += bool(answered.answers)
        if answered.is_wrong:
            self.wrong.append(answered)


@pytest.mark.rounds("hostile-input")
@pytest.mark.timeout(rounds(300, 3600))
def test_no_request_breaks_anything_or_leaves_anything(tmp_path: Path, tally: Tally) -> None:
    with serving(tmp_path / "data") as server:
        with registry_of(server) as registry:
            world = fill(registry, MOST_MANIFESTS)
        before = held(server.data)
        fired = Volley(server, world)

        fired.fire(range(WARM_UP))
        warm = settled(server.pid, files=0, seconds=1)
        fired.fire(range(WARM_UP, COUNT))
        fired.ask_again()
        tally.tried, tally.wrong = COUNT, len(fired.wrong)

        assert [str(wrong) for wrong in fired.wrong[:10]] == []
        assert "Traceback" not in server.log()
        assert '"level": "error"' not in server.log()
        unanswered = {method.full_name for method in METHODS} - set(+fired.answered)
        assert unanswered == ALWAYS_REFUSED
        worn = settled(server.pid, files=warm.files)
        assert worn.memory - warm.memory < MOST_GROWTH
        assert worn.threads <= warm.threads + 130  # at most as many as the pools may have
        # Each thread that came since reads the database by files of its own.
        assert worn.files <= warm.files + 5 + 3 * max(worn.threads - warm.threads, 0)
        assert _seconds_to_answer(server) < 5
        server.stop()

    left = differences(before, held(server.data), fired.claims)
    tally.lost = len(left)
    assert left == {}
    check_sound(server.data)


def test_every_way_and_method_has_its_turn() -> None:
    assert len(WAYS) * len(METHODS) < COUNT


def _seconds_to_answer(server: ServerProcess) -> float:
    started = time.monotonic()
    with registry_of(server) as registry:
        assert registry.get(1).number == 1
    return time.monotonic() - started
