"""What the server does by itself: parts that were left go, others stay."""

import uuid
from contextlib import closing
from pathlib import Path

import apsw
import grpc
from tests.running import run_server
from tests.services.wire import MIB, Registry, chunk, digest, header, refused

from modelkeep_server.blobs import LocalStore
from modelkeep_server.domain import upkeep
from modelkeep_server.records.opening import open_records

DATA = uuid.uuid4().bytes * (MIB // 8)


def _leave_a_part(data: Path) -> None:
    """Send half of a blob to a server that stops then."""
    with run_server(data) as server, grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel, "default")
        with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
            registry.upload([header(registry.name, digest(DATA), len(DATA)), chunk(DATA[:MIB])])


def _sweep(data: Path) -> None:
    with open_records(None, data, print) as records:
        upkeep.sweep(records, LocalStore(data, print))


def _age(data: Path, microseconds: int) -> None:
    with closing(apsw.Connection(str(data / "modelkeep.db"))) as database:
        database.execute("UPDATE staged_part SET changed_us = changed_us - ?", [microseconds])


def _files(data: Path) -> list[Path]:
    return list((data / "staging").iterdir())


def test_a_part_older_than_a_day_is_swept(tmp_path: Path) -> None:
    _leave_a_part(tmp_path / "data")
    _age(tmp_path / "data", upkeep.PART_KEPT_US - 60_000_000)
    _sweep(tmp_path / "data")
    assert len(_files(tmp_path / "data")) == 1

    _age(tmp_path / "data", 60_000_000)
    _sweep(tmp_path / "data")

    assert _files(tmp_path / "data") == []
    with run_server(tmp_path / "data") as server, grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel, "default")
        assert registry.missing(digest(DATA)) == {digest(DATA): 0}


def test_a_start_removes_what_no_upload_knows(tmp_path: Path) -> None:
    _leave_a_part(tmp_path / "data")
    (known,) = _files(tmp_path / "data")
    stray = known.with_name("0" * 32)
    stray.write_bytes(b"x")

    with run_server(tmp_path / "data"):
        pass

    assert _files(tmp_path / "data") == [known]
