"""Power that fails while many write: what was acknowledged is there, and nothing is half there.

The server's folder lies on a disk that keeps what was synced and nothing else. In every other round
its log is short, so that power fails also while that is brought into the database's file; not in
all, since that syncs what commits should have. Each round goes on with what the one before left.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from tests.faults.faulty_disk import faulty_disk
from tests.faults.writers import Writer, make_writers, writing
from tests.rounds import Tally, rounds, seed
from tests.services.processes import PROGRAM, registry_of, serving
from tests.verified import check_sound

PROGRAMS = (PROGRAM, ("-m", "tests.faults.short_log_server"))
CLIENTS = 4
CUTS = rounds(3, 20)


@pytest.mark.rounds("power-cut")
@pytest.mark.timeout(120 + 30 * CUTS)
def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path, tally: Tally) -> None:
    begin = seed()
    random, writers = Random(begin), make_writers(CLIENTS, begin)
    left: Path | None = None
    for number in range(CUTS):
        place = tmp_path / f"round-{number}"
        place.mkdir()
        left = _cut(place, left, writers, random.uniform(0.3, 2.0), PROGRAMS[number % 2])
        _check(left, writers, tally)

    assert (tally.lost, tally.wrong) == (0, 0)
    assert _acknowledged(writers) > CLIENTS


def _cut(
    place: Path, before: Path | None, writers: list[Writer], seconds: float, program: Sequence[str]
) -> Path:
    """Let them write for so long, and something, cut the power, and give what is left."""
    known = _acknowledged(writers)
    with faulty_disk(place / "disk", before) as disk:
        with (
            serving(disk.path / "data", log=place / "log", program=program) as server,
            writing(writers, server.address),
        ):
            time.sleep(seconds)
            end = time.monotonic() + 30
            while _acknowledged(writers) < known + 2 and time.monotonic() < end:
                time.sleep(0.05)
            server.kill()
        sys.stdout.write(
            f"the log was brought in {disk.syncs().count('/data/modelkeep.db')} times\n"
        )
        return disk.survivors(place / "left")


def _acknowledged(writers: list[Writer]) -> int:
    return sum(len(writer.versions) for writer in writers)


def _check(left: Path, writers: list[Writer], tally: Tally) -> None:
    tally.tried += 1
    with serving(left / "data") as server, registry_of(server) as registry:
        for writer in writers:
            lost, wrong = writer.lost(registry), writer.wrong(registry)
            sys.stdout.write(f"{writer.asset}: lost {lost}, wrong {wrong}\n")
            tally.lost += len(lost)
            tally.wrong += len(wrong)
            writer.go_on(registry)
        server.stop()
    check_sound(left / "data")
