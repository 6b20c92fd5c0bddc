"""Clients that do a server no good, each a process of its own: `… -m tests.hostile.attackers`.

    python -m tests.hostile.attackers ATTACK ADDRESS VERSION

prints `ready` before it begins, `done` when all that it does is under way, and holds that until it
is ended. They speak plain HTTP/2, so that thousands of streams cost little here and the server has
the machine to itself; what they don't read, nobody reads for them.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.hostile.raw import RawConnection, frame, headers
from tests.services.wire import MIB, chunk, digest, header

from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1 import event_service_pb2 as events

UPLOAD = "/modelkeep.v1.ArtifactService/UploadBlobs"
DOWNLOAD = "/modelkeep.v1.ArtifactService/DownloadFiles"
WATCH = "/modelkeep.v1.EventService/WatchEvents"
GET = "/modelkeep.v1.VersionService/GetVersion"
STREAMS_A_CONNECTION = 100
RESETS, RESET_SECONDS = 400_000, 8
TRICKLE_SECONDS = 40

WATCHING = frame(events.WatchEventsRequest().SerializeToString())


def upload(connection: RawConnection, number: int) -> int:
    """Begin an upload under a name of its own, and send the first bytes of it."""
    begin = header("namespaces/default", digest(b"%d of %d" % (number, os.getpid())), 1_000_000)
    stream = connection.open(headers(UPLOAD, modelkeep_user=f"user{number % 50}"))
    for message in (begin, chunk(b"first")):
        connection.write(stream, frame(message.SerializeToString()))
    return stream


def download(connection: RawConnection, number: int, version: str) -> None:
    """Ask for a large file."""
    wanted = artifacts.DownloadFilesRequest(
        version=version, ranges=[artifacts.FileRange(path="large")]
    )
    stream = connection.open(headers(DOWNLOAD, modelkeep_user=f"user{number % 50}"))
    connection.write(stream, frame(wanted.SerializeToString()), end=True)


def watch(connection: RawConnection) -> None:
    """Open a watch of everything."""
    connection.write(connection.open(headers(WATCH)), WATCHING, end=True)


def vanish(address: str, version: str) -> list[RawConnection]:
    """Some of everything; whoever started this stops it then, and it never says another word."""
    connection = RawConnection(address)
    for number in range(10):
        upload(connection, number)
        download(connection, number, version)
        watch(connection)
    return [connection]


def never_read(address: str, version: str) -> list[RawConnection]:
    """As many downloads as the server takes, of which nothing is read."""
    connections = [RawConnection(address) for _ in range(4)]
    for number in range(40):
        download(connections[number % 4], number, version)
    return connections


def a_byte_a_second(address: str, _version: str) -> list[RawConnection]:
    """Uploads whose next message is said to be large, and comes a byte a second."""
    connections = [RawConnection(address) for _ in range(4)]
    for number in range(40):
        connection = connections[number % 4]
        connection.write(upload(connection, number), frame(bytes(MIB))[:5])
    return connections


def _are_ended(connection: RawConnection) -> bool:
    """Send a byte on each stream of a connection; tell whether it stands, and they don't."""
    for stream in connection.outcomes:
        connection.write(stream, b"\0")
    connection.listen(0)
    ended = all(outcome.ending for outcome in connection.outcomes.values())
    return ended and not connection.gone


def _trickle(connections: list[RawConnection]) -> None:
    """Send a byte a second until the server has ended all streams, and say for which reasons."""
    standing, end = connections, time.monotonic() + TRICKLE_SECONDS
    while standing and time.monotonic() < end:
        standing = [connection for connection in standing if not _are_ended(connection)]
        time.sleep(1)
    outcomes = [outcome for one in connections for outcome in one.outcomes.values()]
    _say(json.dumps(Counter(outcome.reason for outcome in outcomes)))


def idle_uploads(address: str, _version: str) -> list[RawConnection]:
    """Two hundred uploads that were begun."""
    connections = [RawConnection(address) for _ in range(4)]
    for number in range(200):
        upload(connections[number % 4], number)
    return connections


def watches(address: str, _version: str) -> list[RawConnection]:
    """Five thousand watches, as fast as they can be opened."""
    connections = [RawConnection(address) for _ in range(5_000 // STREAMS_A_CONNECTION)]
    for connection in connections:
        for _ in range(STREAMS_A_CONNECTION):
            watch(connection)
    for connection in connections:
        while not all(outcome.received for outcome in connection.outcomes.values()):
            connection.listen()
            assert not any(outcome.ending for outcome in connection.outcomes.values())
    return connections


def rapid_resets(address: str, _version: str) -> list[RawConnection]:
    """Calls that are cancelled as soon as they are made, as fast as can be."""
    connection = RawConnection(address)
    end = time.monotonic() + RESET_SECONDS
    for number in range(RESETS):
        if connection.gone:
            connection = RawConnection(address)
        connection.reset(connection.open(headers(GET)))
        if number % 100 == 0:
            connection.listen(0)
            if time.monotonic() > end:
                break
    return [connection]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


ATTACKS: dict[str, Callable[[str, str], list[RawConnection]]] = {
    attack.__name__: attack
    for attack in (vanish, never_read, a_byte_a_second, idle_uploads, watches, rapid_resets)
}


def main() -> None:
    """Attack until ended."""
    os.nice(10)
    name, address, version = sys.argv[1:]
    _say("ready")
    held = ATTACKS[name](address, version)
    _say("done")
    if name == a_byte_a_second.__name__:
        _trickle(held)
    while held:
        time.sleep(60)


if __name__ == "__main__":
    main()
