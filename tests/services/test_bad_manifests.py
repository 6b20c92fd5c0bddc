"""What the server says of manifests that are not in order, and of bytes that are not there."""

import uuid

import pytest
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, digest, download, manifest, refused

from modelkeep.names import MAX_PATH_BYTES
from modelkeep.v1.artifact_service_pb2 import SealManifestRequest
from modelkeep_server.domain import sealing

FILE = b"a file of these tests"
HEX = digest(FILE).removeprefix("sha256:").encode()


def _line(path: bytes | str) -> bytes:
    return HEX + b"  " + (path.encode() if isinstance(path, str) else path) + b"\n"


BROKEN: dict[str, tuple[bytes, int]] = {
    "a path that leaves": (_line("../x"), 1),
    "a path that leaves within": (_line("a/../../x"), 1),
    "an absolute path": (_line("/etc/passwd"), 1),
    "two equal paths": (_line("a") + _line("a"), 2),
    "a path that is also a folder": (_line("a") + _line("a/b"), 2),
    "a folder behind others": (_line("a") + _line("a-b") + _line("a/b"), 3),
    "an empty segment": (_line("a//b"), 1),
    "a segment of a dot": (_line("a/./b"), 1),
    "a slash at the end": (_line("a/"), 1),
    "unsorted lines": (_line("b") + _line("a"), 2),
    "sorted by something else than bytes": (_line("a") + _line("é") + _line("z"), 3),
    "no lines": (b"", 1),
    "an empty line": (b"\n", 1),
    "an empty line at the end": (_line("a") + b"\n", 2),
    "no line feed at the end": (_line("a").rstrip(), 1),
    "a carriage return": (HEX + b"  a\r\n", 1),
    "one space": (HEX + b" a\n", 1),
    "a star": (HEX + b" *a\n", 1),
    "a short digest": (HEX[1:] + b"  a\n", 1),
    "a digest in capitals": (HEX.upper() + b"  a\n", 1),
    "no path": (HEX + b"  \n", 1),
    "a backslash": (_line("a\\b"), 1),
    "a control character": (_line("a\x07b"), 1),
    "a bidi character": (_line("a\u202eb"), 1),
    "bytes that are not UTF-8": (_line(b"a\xff"), 1),
    "a path that is too long": (_line("a" * (MAX_PATH_BYTES + 1)), 1),
    "a line without an end": (b"a" * 100_000, 1),
    "a NUL": (_line(b"a\x00"), 1),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_manifest_is_not_sealed(
    registry: Registry, shared: RunningServer, what: str
) -> None:
    text, line = BROKEN[what]
    registry.push_blobs(FILE, text)

    with (
        nothing_left(shared),
        refused("INVALID_ARGUMENT", "MANIFEST_INVALID", "digest") as refusal,
    ):
        registry.seal_text(text)

    assert refusal.metadata == {"line": str(line)}
    assert refusal.message.isascii()


@pytest.mark.parametrize(
    "path", ["a", "A b/c.d", " a", "é/ü", "漢字.bin", "a" * MAX_PATH_BYTES, "-", "~", "a%2f..b"]
)
def test_any_other_path_is_fine(registry: Registry, path: str) -> None:
    registry.create(files={path: FILE, "another": FILE})

    assert download(registry, registry.version(1), path) == [FILE]


def test_a_manifest_with_a_missing_blob_is_not_sealed(
    registry: Registry, shared: RunningServer
) -> None:
    absent = sorted(digest(uuid.uuid4().bytes) for _ in range(25))
    text = manifest({f"{n:02}": name for n, name in enumerate(absent)} | {"here": FILE})
    registry.push_blobs(FILE, text)

    with (
        nothing_left(shared),
        refused("FAILED_PRECONDITION", "BLOBS_MISSING", "digest") as refusal,
    ):
        registry.seal_text(text)

    assert refusal.metadata == {"digests": ",".join(absent[:20]), "count": "25"}


def test_a_manifest_that_was_not_sent_is_not_sealed(
    registry: Registry, shared: RunningServer
) -> None:
    text = manifest({"f": FILE})
    registry.push_blobs(FILE)
    elsewhere = registry.beside()
    elsewhere.push_blobs(text)

    with nothing_left(shared), refused("FAILED_PRECONDITION", "BLOBS_MISSING") as refusal:
        list(
            registry.artifacts.SealManifest(
                SealManifestRequest(parent=registry.name, digest=digest(text))
            )
        )

    assert refusal.metadata == {"digests": digest(text), "count": "1"}


def test_a_manifest_that_is_not_sealed_makes_no_version(
    registry: Registry, shared: RunningServer
) -> None:
    registry.create()
    text = manifest({"f": FILE})
    registry.push_blobs(FILE, text)

    with (
        nothing_left(shared),
        refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED", "version.record.digest") as refusal,
    ):
        registry.create(files=digest(text))

    assert refusal.metadata == {"digest": digest(text)}
    assert registry.create().number == 2


def test_a_refused_version_does_not_make_its_asset(
    registry: Registry, shared: RunningServer
) -> None:
    with nothing_left(shared), refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED"):
        registry.create("new", digest(b"nothing"))


def test_another_namespaces_blobs_are_not_here(registry: Registry, shared: RunningServer) -> None:
    secret = uuid.uuid4().bytes
    owner = registry.beside()
    owner.create(files={"secret": secret})
    text = manifest({"stolen": digest(secret)})
    registry.push_blobs(text)

    assert registry.missing(digest(secret)) == {digest(secret): 0}
    with nothing_left(shared), refused("FAILED_PRECONDITION", "BLOBS_MISSING"):
        registry.seal_text(text)


def test_another_namespaces_seal_makes_no_version(
    registry: Registry, shared: RunningServer
) -> None:
    sealed = registry.beside().create().record.digest

    with nothing_left(shared), refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED"):
        registry.create(files=sealed)


def test_another_assets_seal_makes_no_version(registry: Registry, shared: RunningServer) -> None:
    sealed = registry.seal({"f": uuid.uuid4().bytes}, parent=registry.asset("mine"))

    with nothing_left(shared), refused("FAILED_PRECONDITION", "MANIFEST_NOT_SEALED"):
        registry.create("theirs", sealed)
    assert registry.create("mine", sealed).number == 1


def test_a_manifest_with_more_files_than_a_version_may_have_is_not_sealed(
    registry: Registry, shared: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "MAX_FILES", 2_000)
    monkeypatch.setattr(sealing, "MAX_MANIFEST_BYTES", 200_000)
    many = b"".join(_line(f"{number:04}") for number in range(2_001))
    long = b"".join(_line(f"{number:04}" + "x" * 900) for number in range(300))
    registry.push_blobs(FILE, many, long)

    with nothing_left(shared), refused("INVALID_ARGUMENT", "MANIFEST_TOO_LARGE") as files:
        registry.seal_text(many)
    with nothing_left(shared), refused("INVALID_ARGUMENT", "MANIFEST_TOO_LARGE") as size:
        registry.seal_text(long)

    assert files.metadata == {"limit": "2000", "actual": "2001"}
    assert size.metadata == {"limit": "200000", "actual": str(len(long))}
