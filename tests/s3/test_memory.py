"""What uploads to S3 take of a server's memory."""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.services.processes import registry_of, serving
from tests.services.wire import MIB, Registry, chunk, header

UPLOADS = 4
SIZE = 96 * MIB
MOST_EACH = 52 * MIB
"""Two pieces of 16 MiB, and what is on its way to them; 60 and more where pieces grow in a heap."""

BLOCK = os.urandom(MIB)


def _blocks(number: int) -> Iterator[bytes]:
    yield number.to_bytes(8) + BLOCK[8:]
    for _ in range(SIZE // MIB - 1):
        yield BLOCK


def _upload(registry: Registry, number: int) -> None:
    sha256 = hashlib.sha256()
    for block in _blocks(number):
        sha256.update(block)
    name = f"sha256:{sha256.hexdigest()}"
    registry.upload([header(registry.name, name, SIZE), *map(chunk, _blocks(number))])
    assert registry.missing(name) == {}


def _memory(pid: int, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_an_upload_has_two_pieces_in_memory_and_little_more(tmp_path: Path, blobs: str) -> None:
    with serving(tmp_path / "data", "--blobs", blobs) as server, registry_of(server) as registry:
        registry.push_blobs(BLOCK)
        rest = _memory(server.pid, "VmRSS")

        with ThreadPoolExecutor(UPLOADS) as pool:
            list(pool.map(lambda number: _upload(registry, number), range(UPLOADS)))

        assert _memory(server.pid, "VmHWM") - rest < UPLOADS * MOST_EACH
