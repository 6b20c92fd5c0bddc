"""A server that is killed while many write: what was acknowledged is there, whole."""

import hashlib
import threading
import time
import uuid
from pathlib import Path

import grpc
from tests.services.processes import registry_of, serving
from tests.services.wire import Registry, digest, download, status

from modelkeep.v1 import event_pb2, version_pb2

WRITERS = 6


def _write(address: str, asset: str, done: dict[str, str], ends: list[str]) -> None:
    """Push and promote version after version until the end; note what was acknowledged."""
    with grpc.insecure_channel(address) as channel:
        registry = Registry(channel, "default")
        try:
            while True:
                data = uuid.uuid4().bytes * 4
                made = registry.create(asset, {"f": data}, aliases=["production"])
                done[made.name] = digest(data)
        except grpc.RpcError as error:
            ends.append(status(error).code)


def _kill_while_writing(data: Path, enough: int) -> dict[str, str]:
    done: dict[str, str] = {}
    ends: list[str] = []
    with serving(data) as server:
        threads = [
            threading.Thread(target=_write, args=[server.address, f"a{n % 3}", done, ends])
            for n in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 20
        while len(done) < enough and time.monotonic() < end:
            time.sleep(0.01)
        server.kill()
        for thread in threads:
            thread.join()
    assert set(ends) <= {"UNAVAILABLE", "CANCELLED"}
    return done


def test_what_was_acknowledged_survives_a_kill_and_the_log_agrees(tmp_path: Path) -> None:
    done = _kill_while_writing(tmp_path / "data", 100)
    assert len(done) >= 100

    with serving(tmp_path / "data") as server, registry_of(server) as registry:
        events = registry.log("namespaces/default")
        _check_log(events)
        for asset in ("a0", "a1", "a2"):
            numbers = registry.numbers(asset, page_size=1000)
            assert numbers == list(range(len(numbers), 0, -1))
            assert registry.get_asset(asset).version_count == len(numbers)
            for number in numbers:
                _check_version(registry, registry.get(number, asset), events, done)
            production = registry.numbers(asset, stage=version_pb2.STAGE_PRODUCTION)
            assert production == [registry.get("@production", asset).number]
        named = {change.resource for event in events for change in event.record.changes}
        assert set(done) <= named
        again = registry.create("a0")
        assert again.number == registry.get_asset("a0").version_count


def _check_log(events: list[event_pb2.Event]) -> None:
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    for event in events:
        for change, body in zip(event.record.changes, event.bodies, strict=True):
            salted = body.after_salt + body.after.value
            assert change.after_hash == hashlib.sha256(salted).digest()


def _check_version(
    registry: Registry,
    version: version_pb2.Version,
    events: list[event_pb2.Event],
    done: dict[str, str],
) -> None:
    """Hold a version to its bytes, to what was acknowledged, and to the log."""
    (content,) = download(registry, version.name, "f")
    if version.name in done:
        assert digest(content) == done[version.name]
    last = [
        body.after.value
        for event in events
        for change, body in zip(event.record.changes, event.bodies, strict=True)
        if change.resource == version.name
    ][-1]
    version.ClearField("aliases")
    assert version_pb2.Version.FromString(last) == version
