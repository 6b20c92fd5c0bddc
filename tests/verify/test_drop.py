"""A part that turned out wrong is forgotten before its bytes go: a crash between harms none."""

from contextlib import closing

import apsw
import grpc
import pytest
from tests.running import RunningServer
from tests.services.wire import MIB, Registry, chunks, digest, header, refused

from modelkeep_server.blobs.local_staged import LocalStagedBlob


def test_no_row_tells_of_durable_bytes_that_are_gone(
    server: RunningServer, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(channel, "default")
    wrong = digest(b"something else")
    told: list[str] = []
    discard = LocalStagedBlob.discard

    def look_first(part: LocalStagedBlob) -> None:
        with closing(apsw.Connection(str(server.data / "modelkeep.db"))) as connection:
            told.extend(key for (key,) in connection.execute("SELECT key FROM staged_part"))
        discard(part)

    monkeypatch.setattr(LocalStagedBlob, "discard", look_first)
    with refused("INVALID_ARGUMENT", "DIGEST_MISMATCH"):
        registry.upload([header(registry.name, wrong, MIB), *chunks(bytes(MIB))])

    assert told == []
    assert list((server.data / "staging").iterdir()) == []
