"""Uploads: nothing acknowledged is lost, nothing wrong is kept, one writes at a time."""

import time
import uuid
from pathlib import Path

import pytest
from tests.raw import Stored, ask
from tests.running import RunningServer
from tests.services.footprint import footprint, nothing_left
from tests.services.processes import registry_of, serving
from tests.services.wire import (
    MIB,
    Registry,
    chunk,
    chunks,
    digest,
    download,
    header,
    pack,
    refused,
)
from tests.waiting import until

from modelkeep_server.records import staging


def _data(size: int) -> bytes:
    """Make bytes that no other test has sent, each MiB another."""
    return b"".join(uuid.uuid4().bytes * (MIB // 16) for _ in range(-(-size // MIB)))[:size]


def _row(server: Stored, name: str) -> tuple[str, int] | None:
    """Give a part's key and its fence, once there is one."""
    value = bytes.fromhex(name.removeprefix("sha256:"))
    rows = ask(server, "SELECT key, fence FROM staged_part WHERE digest = ?", value)
    return (rows[0][0], rows[0][1]) if rows else None


def _staged(server: Stored, name: str) -> Path | None:
    """Find the file of a part, once there is one."""
    row = _row(server, name)
    return server.data / "staging" / row[0] if row else None


def _has(server: Stored, name: str, size: int) -> bool:
    """Tell whether so much of a blob has come."""
    file = _staged(server, name)
    return file is not None and file.stat().st_size == size


def _free(registry: Registry, name: str, durable: int) -> bool:
    """Tell whether a part that was broken off is kept and can be gone on with."""
    return registry.missing(name).get(name) == durable


def test_an_upload_is_answered_when_it_is_durable(registry: Registry) -> None:
    data = _data(20 * MIB)

    answers = registry.upload([header(registry.name, digest(data), len(data)), *chunks(data)])

    sizes = [answer.durable_size for answer in answers]
    assert sizes == sorted(sizes)
    assert len(sizes) > 1
    assert (sizes[-1], answers[-1].complete) == (len(data), True)
    assert not any(answer.complete for answer in answers[:-1])
    assert {answer.digest for answer in answers} == {digest(data)}


def test_many_blobs_go_over_one_stream(registry: Registry) -> None:
    large, other, small = _data(3 * MIB), _data(MIB + 1), _data(100)

    answers = registry.upload(
        [
            header(registry.name, digest(large), len(large)),
            *chunks(large),
            pack(registry.name, small, b""),
            header(registry.name, digest(other), len(other)),
            *chunks(other, 1000_000),
        ]
    )

    complete = [answer.digest for answer in answers if answer.complete]
    assert complete == [digest(large), digest(small), digest(b""), digest(other)]
    assert registry.missing(*complete) == {}


def test_an_empty_blob_needs_no_chunk(registry: Registry) -> None:
    answers = registry.upload([header(registry.name, digest(b""), 0)])

    assert [(answer.durable_size, answer.complete) for answer in answers] == [(0, True)]


@pytest.mark.parametrize("size", [1, MIB - 1, MIB, MIB + 1, 3 * MIB])
def test_any_size_comes_back_as_it_was(registry: Registry, size: int) -> None:
    data = _data(size)
    registry.upload([header(registry.name, digest(data), size), *chunks(data, 300_000)])
    registry.create(files={"f": data})

    assert download(registry, registry.version(1), "f") == [data]


def test_a_broken_upload_goes_on_where_it_was(registry: Registry, shared: RunningServer) -> None:
    data = _data(5 * MIB)
    name = digest(data)
    stream = registry.stream()
    stream.send(header(registry.name, name, len(data)), *chunks(data[: 3 * MIB]))
    until(lambda: _has(shared, name, 3 * MIB))
    stream.cancel()
    until(lambda: _free(registry, name, 3 * MIB))

    registry.upload([header(registry.name, name, len(data), 3 * MIB), *chunks(data[3 * MIB :])])
    registry.create(files={"f": data})

    assert download(registry, registry.version(1), "f") == [data]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    data = _data(30 * MIB)
    name = digest(data)
    with serving(tmp_path / "data") as server, registry_of(server) as registry:
        stream = registry.stream()
        stream.send(header(registry.name, name, len(data)), *chunks(data[: 25 * MIB]))
        acknowledged = stream.answer().durable_size
        server.kill()
        stream.cancel()
    assert acknowledged >= 8 * MIB

    with serving(tmp_path / "data") as server, registry_of(server) as registry:
        durable = registry.missing(name)[name]
        assert acknowledged <= durable < len(data)
        registry.upload([header(registry.name, name, len(data), durable), *chunks(data[durable:])])
        registry.create(files={"f": data})

        assert download(registry, registry.version(1), "f") == [data]
        assert footprint(server)["staged_part"] == [(0,)]
        assert list((server.data / "staging").iterdir()) == []


def test_a_part_that_was_damaged_is_found_out_and_sent_again(
    registry: Registry, shared: RunningServer
) -> None:
    data = _data(3 * MIB)
    name = digest(data)
    with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
        registry.upload([header(registry.name, name, len(data)), *chunks(data[: 2 * MIB])])
    part = _staged(shared, name)
    assert part is not None
    with part.open("r+b") as file:
        file.seek(MIB)
        file.write(bytes([data[MIB] ^ 1]))

    with refused("INVALID_ARGUMENT", "DIGEST_MISMATCH"):
        registry.upload([header(registry.name, name, len(data), 2 * MIB), chunk(data[2 * MIB :])])

    assert registry.missing(name) == {name: 0}
    registry.upload([header(registry.name, name, len(data)), *chunks(data)])
    assert registry.missing(name) == {}


def test_a_part_may_be_started_anew(registry: Registry) -> None:
    data = _data(3 * MIB)
    with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
        registry.upload([header(registry.name, digest(data), len(data)), chunk(data[:MIB])])

    registry.upload([header(registry.name, digest(data), len(data)), *chunks(data)])

    assert registry.missing(digest(data)) == {}


def test_two_do_not_write_one_blob(registry: Registry, shared: RunningServer) -> None:
    data = _data(2 * MIB)
    first = registry.stream()
    first.send(header(registry.name, digest(data), len(data)), chunk(data[:MIB]))
    until(lambda: _has(shared, digest(data), MIB))

    with refused("ABORTED", "UPLOAD_IN_PROGRESS") as refusal:
        registry.upload([header(registry.name, digest(data), len(data)), *chunks(data)])

    assert refusal.metadata == {"digest": digest(data), "durable_size": "0"}
    assert refusal.retry_seconds is not None
    assert 0 < refusal.retry_seconds <= 10
    first.send(chunk(data[MIB:]))
    assert first.answers()[-1].complete


def test_two_people_write_one_blob_without_meeting(
    registry: Registry, shared: RunningServer
) -> None:
    data = _data(2 * MIB)
    first, second = registry.stream(), registry.as_user("someone").stream()
    for part in (header(registry.name, digest(data), len(data)), *chunks(data)):
        first.send(part)
        second.send(part)

    assert first.answers()[-1].complete
    assert second.answers()[-1].complete
    assert _stored(shared.data, data) == 1


def _stored(data_folder: Path, data: bytes) -> int:
    """Count the files that hold these bytes."""
    return sum(
        path.stat().st_size == len(data) and path.read_bytes() == data
        for folder in ("blobs", "staging")
        for path in (data_folder / folder).rglob("*")
        if path.is_file()
    )


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> float:
    """Let a silence of a fifth of a second be one of ten."""
    monkeypatch.setattr(staging, "LEASE_US", 200_000)
    return 0.25


def test_a_silent_upload_is_taken_over(
    registry: Registry, shared: RunningServer, short_leases: float
) -> None:
    data = _data(3 * MIB)
    silent = registry.stream()
    silent.send(header(registry.name, digest(data), len(data)), chunk(data[:MIB]))
    time.sleep(short_leases)

    other = registry.stream()
    other.send(header(registry.name, digest(data), len(data)), chunk(data[:MIB]))
    until(lambda: (_row(shared, digest(data)) or ("", 0))[1] == 2)
    silent.send(chunk(data[MIB : 2 * MIB]))
    with refused("ABORTED", "UPLOAD_LEASE_LOST") as refusal:
        silent.answers()
    other.send(*chunks(data[MIB:]))

    assert other.answers()[-1].complete
    assert refusal.metadata == {"digest": digest(data)}
    registry.create(files={"f": data})
    assert download(registry, registry.version(1), "f") == [data]


def test_an_upload_that_goes_on_keeps_its_lease(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelkeep_server.domain import uploads

    monkeypatch.setattr(staging, "LEASE_US", 1_500_000)
    monkeypatch.setattr(uploads, "_RENEW_SECONDS", 0.05)
    data = _data(MIB)
    stream = registry.stream()
    stream.send(header(registry.name, digest(data), len(data)))
    for start in range(0, MIB, MIB // 8):
        stream.send(chunk(data[start : start + MIB // 8]))
        time.sleep(0.3)
        if start < MIB // 8 * 7:
            with refused("ABORTED", "UPLOAD_IN_PROGRESS"):
                registry.upload([header(registry.name, digest(data), len(data))])

    assert stream.answers()[-1].complete


def test_a_blob_that_is_here_may_be_sent_again(registry: Registry, shared: RunningServer) -> None:
    large, small = _data(2 * MIB), _data(50)
    registry.push_blobs(large, small)

    with nothing_left(shared):
        answers = registry.upload(
            [
                header(registry.name, digest(large), len(large)),
                *chunks(large),
                pack(registry.name, small),
                header(registry.name, digest(small), len(small)),
                chunk(small),
                header(registry.name, digest(large), len(large), MIB),
                chunk(large[MIB:]),
            ]
        )

    assert [answer.complete for answer in answers] == [True] * 4


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_the_same_bytes_are_stored_once_and_proved_by_each_namespace(
    registry: Registry, shared: RunningServer, size: int
) -> None:
    data = _data(size)
    other = registry.beside()
    registry.push_blobs(data)
    assert other.missing(digest(data)) == {digest(data): 0}

    other.push_blobs(data)

    assert other.missing(digest(data)) == registry.missing(digest(data)) == {}
    assert _stored(shared.data, data) == 1
    other.create(files={"f": data})
    assert download(other, other.version(1), "f") == [data]


def test_a_wrong_part_in_one_namespace_harms_no_other(registry: Registry) -> None:
    data = _data(2 * MIB)
    other = registry.beside()
    registry.push_blobs(data)

    with refused("INVALID_ARGUMENT", "DIGEST_MISMATCH"):
        other.upload([header(other.name, digest(data), len(data)), *chunks(data[::-1])])

    assert other.missing(digest(data)) == {digest(data): 0}
    registry.create(files={"f": data})
    assert download(registry, registry.version(1), "f") == [data]


def test_an_assets_bytes_are_not_the_namespaces(registry: Registry) -> None:
    data = _data(100)
    registry.push_blobs(data, parent=registry.asset("not-yet"))

    assert registry.missing(digest(data), parent=registry.asset("not-yet")) == {}
    assert registry.missing(digest(data)) == {digest(data): 0}
    assert registry.missing(digest(data), parent=registry.asset("other")) == {digest(data): 0}


def test_missing_blobs_are_told_once_each_in_the_order_asked_for(registry: Registry) -> None:
    here, absent = _data(10), [digest(_data(16)) for _ in range(1200)]
    registry.push_blobs(here)

    found = registry.missing(*absent[:7], digest(here), *absent, absent[0])

    assert list(found) == absent


def test_another_persons_part_is_not_told(registry: Registry) -> None:
    data = _data(2 * MIB)
    with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
        registry.upload([header(registry.name, digest(data), len(data)), chunk(data[:MIB])])

    assert registry.missing(digest(data)) == {digest(data): MIB}
    assert registry.as_user("someone").missing(digest(data)) == {digest(data): 0}


def test_a_pack_is_all_or_nothing(registry: Registry) -> None:
    good, bad = _data(10), _data(20)
    message = pack(registry.name, good, bad)
    message.pack.blobs[1].data = b"altered"

    with refused("INVALID_ARGUMENT", "DIGEST_MISMATCH", "pack.blobs[1].digest"):
        registry.upload([message])

    assert set(registry.missing(digest(good), digest(bad)).values()) == {0}


def test_a_pack_may_name_a_blob_twice(registry: Registry) -> None:
    data = _data(10)

    answers = registry.upload([pack(registry.name, data, data)])

    assert [(answer.digest, answer.complete) for answer in answers] == [(digest(data), True)]
