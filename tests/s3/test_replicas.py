"""Two servers of one registry whose bytes are in a bucket."""

import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from tests.s3.test_links import ask_links
from tests.s3.test_upload_links import put, upload_link
from tests.services.wire import (
    MIB,
    Registry,
    chunks,
    digest,
    download,
    header,
    refused,
    status,
)
from tests.waiting import until

Pair = tuple[Registry, Registry]

PIECE = 16 * MIB


def _data(size: int) -> bytes:
    return b"".join(uuid.uuid4().bytes * (MIB // 16) for _ in range(-(-size // MIB)))[:size]


def test_what_one_took_in_the_other_gives_out(replicas: Pair) -> None:
    one, other = replicas
    files = {"large": _data(2 * PIECE + 5), "small": b"small", "empty": b""}

    one.create(files=files)

    assert download(other, other.version(1), *files) == list(files.values())


def test_an_upload_that_breaks_off_at_one_goes_on_at_the_other(replicas: Pair) -> None:
    one, other = replicas
    data = _data(3 * PIECE)
    name = digest(data)
    stream = one.stream()
    stream.send(header(one.name, name, len(data)), *chunks(data[: 2 * PIECE + MIB]))
    # The last finished part; the rest of what was sent is sent again.
    until(lambda: other.missing(name)[name] >= 2 * PIECE)
    stream.cancel()
    until(lambda: _is_free(other, name, len(data)))

    durable = other.missing(name)[name]
    assert durable == 2 * PIECE
    other.upload([header(other.name, name, len(data), durable), *chunks(data[durable:])])

    one.create(files={"f": data})
    assert download(one, one.version(1), "f") == [data]


def test_one_who_is_silent_is_taken_over_by_the_other_and_harms_nothing(replicas: Pair) -> None:
    one, other = replicas
    data = _data(2 * PIECE)
    name = digest(data)
    silent = one.stream()
    silent.send(header(one.name, name, len(data)), *chunks(data[:PIECE]))
    until(lambda: other.missing(name)[name] == PIECE)
    with refused("ABORTED", "UPLOAD_IN_PROGRESS"):
        other.upload([header(other.name, name, len(data)), *chunks(data)])
    until(lambda: _is_free(other, name, len(data)))

    other.upload([header(other.name, name, len(data)), *chunks(data)])
    with refused("ABORTED", "UPLOAD_LEASE_LOST"):
        silent.send(*chunks(bytes(PIECE)))
        silent.answers()

    other.create(files={"f": data})
    assert download(one, one.version(1), "f") == [data]


def test_both_take_the_same_files_at_once(replicas: Pair) -> None:
    contents = [{f"{n}": _data(MIB // 4 + n), "same": b"same"} for n in range(12)]

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: replicas[n % 2].create(files=contents[n]), range(12)))

    for version, files in zip(made, contents, strict=True):
        assert download(replicas[0], version.name, *files) == list(files.values())


def test_a_link_of_one_is_good_at_the_other(replicas: Pair) -> None:
    one, other = replicas
    data = _data(2 * PIECE + 5)
    name = digest(data)

    put(upload_link(one, data), data)
    other.upload([header(other.name, name, len(data), len(data))])

    assert one.missing(name) == {}
    version = one.create(files={"f": data})
    assert download(other, version.name, "f") == [data]
    (link,) = ask_links(other, version.name, "f").links
    with urllib.request.urlopen(link.url) as response:
        assert response.read() == data


def test_of_two_who_finish_what_came_by_a_link_one_does(replicas: Pair) -> None:
    for _ in range(5):
        data = _data(PIECE + 5)
        put(upload_link(replicas[0], data), data)

        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(lambda registry, data=data: _finish(registry, data), replicas))

        assert "" in said
        # Another is at it, was faster, or is done.
        assert {*said} <= {"", "UPLOAD_IN_PROGRESS", "UPLOAD_LEASE_LOST", "UPLOAD_OFFSET_MISMATCH"}
        assert replicas[1].missing(digest(data)) == {}
        version = replicas[0].create(files={"f": data})
        assert download(replicas[1], version.name, "f") == [data]


def _finish(registry: Registry, data: bytes) -> str:
    """Let a server look at what came by a link; gives the reason where it refuses."""
    try:
        registry.upload([header(registry.name, digest(data), len(data), len(data))])
    except grpc.RpcError as error:
        return status(error).reason
    return ""


def _is_free(registry: Registry, name: str, size: int) -> bool:
    """Tell whether nobody has the lease, by a stream that would be refused anyway."""
    try:
        registry.upload([header(registry.name, name, size + 1, MIB)])
    except grpc.RpcError as error:
        return status(error).reason != "UPLOAD_IN_PROGRESS"
    return True
