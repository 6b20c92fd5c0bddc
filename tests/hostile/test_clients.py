"""Clients that vanish, stand still or flood: others don't notice, and all is given back.

Each attack runs in a process of its own, and so does a bystander whose calls are timed. What
counts is the middle one of three tries: a machine has other things to do at times.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
from tests.hostile.vitals import MIB, vitals
from tests.rounds import LONG, Tally
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import download

pytestmark = pytest.mark.alone

IDLE_SECONDS = 3
P99_SECONDS = 0.050
MARGIN = 10
"""Where the machine alone makes a bystander wait this part of it; not in the long round, which runs
on a quiet machine."""
TRIES, SECONDS_A_TRY = 3, 1.2
LARGE = 24 * MIB
UPLOADS, DOWNLOADS = 32, 32  # which the server takes at once
NAME = "namespaces/default/assets/churn/versions/1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that all of them attack, one after the other."""
    data = tmp_path_factory.mktemp("attacked") / "data"
    with serving(data, "--idle-timeout-seconds", str(IDLE_SECONDS)) as running:
        with registry_of(running) as registry:
            registry.create(files={"large": os.urandom(LARGE), "small": b"small"})
        yield running
        assert "Traceback" not in running.log()


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"tests.hostile.{module}", *arguments]


@contextmanager
def _attacked(server: ServerProcess, attack: str) -> Iterator[subprocess.Popen[str]]:
    """Have it attacked until the end of the block."""
    command = _python("attackers", attack, server.address, NAME)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout
            assert attacker.stdout.readline() == "ready\n"
            yield attacker
            assert attacker.poll() is None  # it was one until now
        finally:
            attacker.kill()


def _check_bystander(server: ServerProcess, alone: float) -> None:
    """Time a bystander: the middle of the 99th percentiles of three tries."""
    p99 = median(_p99(server) for _ in range(TRIES))
    assert p99 < (P99_SECONDS if LONG else max(P99_SECONDS, MARGIN * alone))


def _p99(server: ServerProcess) -> float:
    command = _python("bystander", server.address, NAME, str(SECONDS_A_TRY))
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    times = sorted(json.loads(run.stdout))
    return float(times[int(len(times) * 0.99)])


def _check_transfers(server: ServerProcess) -> None:
    """An upload and a download work at once."""
    with registry_of(server) as registry:
        registry.create("other", {"x": os.urandom(MIB)})
        assert download(registry, NAME, "small") == [b"small"]
        assert [len(whole) for whole in download(registry, NAME, "large")] == [LARGE]


def _check_given_back(server: ServerProcess) -> None:
    """An upload and a download work at once, and what was held is let go of."""
    _check_transfers(server)
    assert _sockets(server.pid) < 10
    assert vitals(server.pid).threads < 64 + 32 + 32 + 40  # its pools, and a few of its own


def _sockets(pid: int) -> int:
    """Count the connections that a process holds, once those that were closed are gone."""
    end = time.monotonic() + 20
    while True:
        links = [_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        count = sum(link.startswith("socket:") for link in links)
        if count < 10 or time.monotonic() > end:
            return count
        time.sleep(0.1)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


MOST_MEMORY = {
    "never_read": 220 * MIB,  # each of 32 downloads has a few messages of 1 MiB under way
    "a_byte_a_second": 64 * MIB,
    "idle_uploads": 64 * MIB,
    "watches": 250 * MIB,
    "rapid_resets": 128 * MIB,
}


@pytest.mark.rounds("bystander")
@pytest.mark.parametrize("attack", MOST_MEMORY)
def test_a_bystander_notices_nothing_and_all_is_given_back(
    server: ServerProcess, tally: Tally, attack: str
) -> None:
    before, alone = vitals(server.pid), _p99(server)
    tally.tried += 1

    with tally.counting_faults(), _attacked(server, attack) as attacker:
        _check_bystander(server, alone)
        _wait_until_done(attacker)
        under_attack = vitals(server.pid)

    assert under_attack.memory - before.memory < MOST_MEMORY[attack]
    _check_given_back(server)


@pytest.mark.rounds("bystander")
def test_a_client_that_vanishes_loses_what_it_held_and_nobody_notices(
    server: ServerProcess, tally: Tally
) -> None:
    before, alone = vitals(server.pid), _p99(server)
    ended = server.log().count("IDLE_TIMEOUT")
    tally.tried += 1

    with tally.counting_faults(), _attacked(server, "vanish") as client:
        _wait_until_done(client)
        client.send_signal(signal.SIGSTOP)  # its connection stands, and nobody is there
        _check_bystander(server, alone)
        _wait_for_ended_streams(server, ended + 20)

    assert vitals(server.pid).memory - before.memory < 128 * MIB
    _check_given_back(server)


def test_uploads_that_go_on_a_byte_at_a_time_are_told_that_they_stand_still(
    server: ServerProcess,
) -> None:
    with _attacked(server, "a_byte_a_second") as attacker:
        _wait_until_done(attacker)
        assert attacker.stdout
        reasons = json.loads(attacker.stdout.readline())

        _check_transfers(server)  # while the connections stand

    assert reasons == {"IDLE_TIMEOUT": UPLOADS, "TOO_MANY_CALLS": 40 - UPLOADS}


def test_downloads_that_nobody_reads_are_let_go_of(server: ServerProcess) -> None:
    ended = server.log().count("IDLE_TIMEOUT")

    with _attacked(server, "never_read") as attacker:
        _wait_until_done(attacker)
        _wait_for_ended_streams(server, ended + DOWNLOADS)

        _check_transfers(server)  # while the connections stand


def _wait_until_done(attacker: "subprocess.Popen[str]") -> None:
    assert attacker.stdout
    assert attacker.stdout.readline() == "done\n"


def _wait_for_ended_streams(server: ServerProcess, count: int) -> None:
    """The vanished client's streams are ended while its connection still stands."""
    end = time.monotonic() + 10 * IDLE_SECONDS
    while server.log().count("IDLE_TIMEOUT") < count and time.monotonic() < end:
        time.sleep(0.1)
    assert server.log().count("IDLE_TIMEOUT") >= count
