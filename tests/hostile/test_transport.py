"""What no gRPC library sends: HTTP/2 that is not gRPC, and gRPC that is not whole.

Most of it is answered by grpc itself, below modelkeep: what counts is that each is answered, by
an error that says so, and that nothing is left of it.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.hostile.raw import Headers, Outcome, RawConnection, frame, headers
from tests.hostile.shots import METHODS
from tests.hostile.vitals import MIB, settled, vitals
from tests.services.processes import ServerProcess, registry_of, serving

from modelkeep.v1 import version_service_pb2 as versions

GET = "/modelkeep.v1.VersionService/GetVersion"
UPLOAD = "/modelkeep.v1.ArtifactService/UploadBlobs"
PATHS = [f"/{method.containing_service.full_name}/{method.name}" for method in METHODS]
RIGHT = versions.GetVersionRequest(
    name="namespaces/default/assets/nothing/versions/1"
).SerializeToString()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that must outlive all of these, and log no fault."""
    with serving(tmp_path_factory.mktemp("transport") / "data") as running:
        yield running
        with registry_of(running) as registry:
            assert registry.create().number == 1
        assert "Traceback" not in running.log()
        assert '"level": "error"' not in running.log()


def _call(server: ServerProcess, with_headers: Headers, data: bytes) -> Outcome:
    """Make a call on a connection of its own, as one who knows the server's settings."""
    with RawConnection(server.address) as connection:
        connection.listen()
        stream = connection.open(with_headers)
        connection.write(stream, data, end=True)
        return connection.outcome(stream)


def _bomb(kind: int) -> bytes:
    """Give 1 GiB of zeros, compressed: 1 MiB, and the same piece over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, kind)
    first = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * 1_023 + packer.flush()


@pytest.mark.parametrize(("encoding", "kind"), [("gzip", 31), ("deflate", 15)])
@pytest.mark.parametrize("path", PATHS)
def test_a_bomb_is_refused_before_it_goes_off(
    server: ServerProcess, path: str, encoding: str, kind: int
) -> None:
    before = vitals(server.pid)

    outcome = _call(server, headers(path, grpc_encoding=encoding), frame(_bomb(kind), 1))

    assert outcome.ending == "RESOURCE_EXHAUSTED"
    assert vitals(server.pid).peak_memory < before.peak_memory + 16 * MIB


def test_a_compressed_message_is_read(server: ServerProcess) -> None:
    outcome = _call(server, headers(GET, grpc_encoding="gzip"), frame(gzip.compress(RIGHT), 1))

    assert outcome.ending == "NOT_FOUND"


@dataclass(frozen=True)
class _Case:
    headers: Headers
    data: bytes = frame(RIGHT)
    endings: tuple[str, ...] = ("NOT_FOUND",)


# What grpc says to what breaks the protocol below gRPC's messages; these never reach modelkeep.
_PROTOCOL = ("INTERNAL", "RESET INTERNAL_ERROR", "RESET PROTOCOL_ERROR")

CASES = {
    "a long message": _Case(headers(GET), b"\0\xff\xff\xff\xff" + RIGHT, ("RESOURCE_EXHAUSTED",)),
    "two messages": _Case(headers(GET), frame(RIGHT) * 2),
    "compressed by nothing": _Case(headers(GET), frame(RIGHT, 1), _PROTOCOL),
    "not gzip": _Case(headers(GET, grpc_encoding="gzip"), frame(RIGHT, 1), _PROTOCOL),
    "unknown encoding": _Case(
        headers(GET, grpc_encoding="br"), endings=(*_PROTOCOL, "UNIMPLEMENTED")
    ),
    "another content type": _Case(
        headers(GET, content_type="text/html"), endings=("NOT_FOUND", "HTTP 415")
    ),
    "GET": _Case(headers(GET, method="GET"), endings=_PROTOCOL),
    "PUT": _Case(headers(GET, method="PUT"), endings=_PROTOCOL),
    "no te": _Case(headers(GET, te=""), endings=(*_PROTOCOL, "NOT_FOUND")),
    "no such service": _Case(headers("/nothing/at.all"), endings=("UNIMPLEMENTED",)),
    "no such method": _Case(headers(GET + "s"), endings=("UNIMPLEMENTED",)),
    "no path": _Case(headers("nothing"), endings=("UNIMPLEMENTED",)),
    "a long path": _Case(headers("/" + "x" * 5_000), endings=("UNIMPLEMENTED",)),
    "no time": _Case(headers(GET, grpc_timeout="0n"), endings=("DEADLINE_EXCEEDED",)),
    "negative time": _Case(headers(GET, grpc_timeout="-1S"), endings=_PROTOCOL),
    "much time": _Case(
        headers(GET, grpc_timeout="99999999999S"), endings=(*_PROTOCOL, "NOT_FOUND")
    ),
    "a name that is no text": _Case(
        headers(GET, modelkeep_user="\xe9\x01"), endings=("INVALID_ARGUMENT",)
    ),
    "a control character": _Case(headers(GET, x_y="a\x01b"), endings=(*_PROTOCOL, "NOT_FOUND")),
    "an upper-case header": _Case([*headers(GET), ("X-Y", "1")], endings=_PROTOCOL),
    "not base64": _Case([*headers(GET), ("x-bin", "!")], endings=_PROTOCOL),
    "one large header": _Case(headers(GET, x="y" * 20_000), endings=("RESOURCE_EXHAUSTED",)),
    "many headers": _Case(
        [*headers(GET), *((f"x{n}", "y") for n in range(1_000))], endings=("RESOURCE_EXHAUSTED",)
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_no_library_sends_is_answered(server: ServerProcess, case: _Case) -> None:
    assert _call(server, case.headers, case.data).ending in case.endings


@pytest.mark.parametrize("data", [b"", frame(RIGHT)[:3], frame(RIGHT)[:-3], frame(RIGHT, 2)])
@pytest.mark.parametrize("path", [GET, UPLOAD])
def test_what_is_not_whole_ends_with_its_connection(
    server: ServerProcess, path: str, data: bytes
) -> None:
    files = vitals(server.pid).files
    with RawConnection(server.address) as connection:
        connection.write(connection.open(headers(path)), data, end=True)

    assert settled(server.pid, files=files).files <= files
