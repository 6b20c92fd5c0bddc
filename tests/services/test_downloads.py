"""Downloads: any range of any file, and never a wrong byte."""

import os
import random
import uuid
from pathlib import Path

import grpc
import pytest
from tests.raw import Stored, ask
from tests.running import RunningServer
from tests.services.wire import MIB, Refusal, Registry, digest, download, refused, status

from modelkeep.v1 import artifact_service_pb2 as pb


def _data(size: int) -> bytes:
    return b"".join(uuid.uuid4().bytes * (MIB // 16) for _ in range(-(-size // MIB)))[:size]


def _range(path: str, offset: int = 0, length: int = 0) -> pb.FileRange:
    return pb.FileRange(path=path, offset=offset, length=length)


def _blob_file(server: Stored, content: bytes) -> Path:
    """Find where the server keeps these bytes."""
    name = bytes.fromhex(digest(content).removeprefix("sha256:"))
    [(key,)] = ask(server, "SELECT key FROM blob WHERE digest = ?", name)
    return server.data / "blobs" / str(key)[:2] / str(key)


def test_many_files_come_in_the_order_asked_for(registry: Registry) -> None:
    files = {f"f{n:03}": uuid.uuid4().bytes * (n % 7) for n in range(200)}
    registry.create(files=files)
    paths = list(files)
    random.Random(1).shuffle(paths)

    assert download(registry, registry.version(1), *paths) == [files[path] for path in paths]


def test_small_files_come_many_to_a_message(registry: Registry) -> None:
    files = {f"f{n:03}": uuid.uuid4().bytes for n in range(500)}
    registry.create(files=files)
    request = pb.DownloadFilesRequest(
        version=registry.version(1), ranges=[_range(path) for path in files]
    )

    messages = list(registry.artifacts.DownloadFiles(request))

    assert len(messages) == 1
    assert [piece.range_index for piece in messages[0].chunks] == list(range(500))


def test_a_message_brings_a_mebibyte_at_most(registry: Registry) -> None:
    files = {"a": _data(MIB // 2 + 1), "b": _data(3 * MIB + 5), "c": _data(10), "d": b""}
    registry.create(files=files)
    request = pb.DownloadFilesRequest(
        version=registry.version(1), ranges=[_range(path) for path in files]
    )

    for message in registry.artifacts.DownloadFiles(request):
        assert sum(len(piece.data) for piece in message.chunks) <= MIB


def test_any_range_is_what_the_file_has_there(registry: Registry) -> None:
    data = _data(3 * MIB + 123)
    registry.create(files={"f": data, "empty": b""})
    rng = random.Random(3)
    edges = [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, len(data) - 1, len(data)]
    pairs = [(start, length) for start in edges for length in (0, 1, MIB, 2 * MIB + 1, 2**62)]
    pairs += [(rng.randrange(len(data)), rng.randrange(1, len(data))) for _ in range(40)]

    got = download(registry, registry.version(1), *(_range("f", *pair) for pair in pairs))

    assert got == [data[start : start + length if length else None] for start, length in pairs]
    assert download(registry, registry.version(1), "empty", _range("empty", 0, 5)) == [b"", b""]


def test_the_same_range_may_be_asked_for_twice(registry: Registry) -> None:
    registry.create(files={"f": b"12345"})

    assert download(registry, registry.version(1), "f", "f", _range("f", 1, 2)) == [
        b"12345",
        b"12345",
        b"23",
    ]


@pytest.mark.parametrize("selector", ["1", "latest", "@champion", "@development"])
def test_files_come_by_any_selector(registry: Registry, selector: str) -> None:
    made = registry.create(files={"f": b"12345"}, aliases=["champion"])

    assert download(registry, registry.version(selector), "f") == [b"12345"]
    assert download(registry, registry.version(made.record.digest), "f") == [b"12345"]


def test_a_range_behind_the_end_is_refused(registry: Registry) -> None:
    registry.create(files={"f": b"12345"})

    with refused("OUT_OF_RANGE", "RANGE_INVALID", "ranges[1].offset") as refusal:
        download(registry, registry.version(1), "f", _range("f", 6))

    assert refusal.metadata == {"path": "f", "offset": "6", "size": "5"}


@pytest.mark.parametrize(
    ("wanted", "reason", "field"),
    [
        ([], "FIELD_REQUIRED", "ranges"),
        ([_range("f")] * 1001, "TOO_MANY_ITEMS", "ranges"),
        ([_range("f"), _range("../f")], "PATH_INVALID", "ranges[1].path"),
        ([_range("")], "FIELD_REQUIRED", "ranges[0].path"),
        ([_range("f", -1)], "FIELD_INVALID", "ranges[0].offset"),
        ([_range("f", 0, -1)], "FIELD_INVALID", "ranges[0].length"),
    ],
)
def test_a_wrong_range_is_refused(
    registry: Registry, wanted: list[pb.FileRange], reason: str, field: str
) -> None:
    registry.create(files={"f": b"12345"})

    with refused("INVALID_ARGUMENT", reason, field):
        download(registry, registry.version(1), *wanted)


def _flip(path: Path, at: int) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


def _try(registry: Registry, *ranges: pb.FileRange) -> tuple[list[bytes], Refusal]:
    """Download, and give what came before the end, and what the end said."""
    got = [bytearray() for _ in ranges]
    request = pb.DownloadFilesRequest(version=registry.version(1), ranges=ranges)
    try:
        for response in registry.artifacts.DownloadFiles(request):
            for piece in response.chunks:
                got[piece.range_index] += piece.data
    except grpc.RpcError as error:
        return [bytes(part) for part in got], status(error)
    return [bytes(part) for part in got], Refusal()


@pytest.mark.parametrize("at", [0, 5, MIB - 1, MIB, 2 * MIB + 7, 3 * MIB + 99])
def test_a_flipped_bit_is_never_sent(registry: Registry, shared: RunningServer, at: int) -> None:
    data = _data(3 * MIB + 100)
    registry.create(files={"f": data})
    _flip(_blob_file(shared, data), at)
    block = at // MIB * MIB

    whole, refusal = _try(registry, _range("f"))
    assert (refusal.code, refusal.reason) == ("DATA_LOSS", "BLOB_DAMAGED")
    assert refusal.metadata == {"digest": digest(data), "offset": str(block)}
    assert data[:block].startswith(whole[0])

    # Not even a range of the damaged block that does not hold the bit.
    inside = block if at != block else block + 1
    part, refusal = _try(registry, _range("f", inside, 1))
    assert (part, refusal.reason) == ([b""], "BLOB_DAMAGED")

    # The blocks beside it are as good as ever.
    if block:
        assert _try(registry, _range("f", block - 10, 10))[0] == [data[block - 10 : block]]
    behind = block + MIB
    if behind < len(data):
        assert _try(registry, _range("f", behind))[0] == [data[behind:]]


@pytest.mark.parametrize("left", [0, 100, MIB, MIB + 1, 3 * MIB + 99])
def test_a_truncated_file_is_never_sent_as_whole(
    registry: Registry, shared: RunningServer, left: int
) -> None:
    data = _data(3 * MIB + 100)
    registry.create(files={"f": data})
    path = _blob_file(shared, data)
    path.chmod(0o600)
    os.truncate(path, left)

    got, refusal = _try(registry, _range("f"))

    assert (refusal.code, refusal.reason) == ("DATA_LOSS", "BLOB_DAMAGED")
    assert data[: left // MIB * MIB].startswith(got[0])


def test_a_file_that_is_gone_is_a_loss_and_not_a_fault(
    registry: Registry, shared: RunningServer
) -> None:
    data = _data(200_000)
    registry.create(files={"f": data, "other": b"other"})
    _blob_file(shared, data).unlink()

    assert _try(registry, _range("f"))[1].reason == "BLOB_DAMAGED"
    assert _try(registry, _range("other"))[0] == [b"other"]


def test_bytes_of_a_file_that_became_longer_are_as_before(
    registry: Registry, shared: RunningServer
) -> None:
    data = _data(MIB + 5)
    registry.create(files={"f": data})
    path = _blob_file(shared, data)
    path.chmod(0o600)
    with path.open("ab") as file:
        file.write(b"more")

    assert _try(registry, _range("f")) == ([data], Refusal())
