"""Pushes past the server: by links where they work, and whole wherever they don't."""

import os
from pathlib import Path

import pytest
from tests.parts.ports import free_port
from tests.running import RunningServer, run_server
from tests.s3 import liars
from tests.waiting import until

import modelkeep
from modelkeep import _stores

LARGE = os.urandom(1024 * 1024) * 16 + b"end"
SMALL = b"small"

_SERVICE = "modelkeep.v1.ArtifactService"


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test be a process that has not met any store."""
    monkeypatch.setattr(_stores, "_useless", {})


def _relayed(server: RunningServer) -> float:
    """Tell how many bytes of blobs the server has got, once it has counted them."""
    method = f"{_SERVICE}/UploadBlobs"
    until(lambda: server.figure("modelkeep_calls_running", method=method) == 0)
    return server.figure("modelkeep_received_bytes_total", method=method)


def _push(server: RunningServer, home: Path) -> list[modelkeep.Progress]:
    """Push, and see that what can be pulled is that."""
    out = home / "out"
    out.mkdir(exist_ok=True)
    (out / "large").write_bytes(LARGE)
    (out / "small").write_bytes(SMALL)
    told: list[modelkeep.Progress] = []
    with modelkeep.Client(server.address, cache=home / "cache", user="ada") as client:
        version = client.push("churn", out, progress=told.append)
        folder = client.pull(version)
    assert (folder / "large").read_bytes() == LARGE
    assert (folder / "small").read_bytes() == SMALL
    return [one for one in told if one.phase == "uploading"]


def test_a_large_file_does_not_pass_the_server(tmp_path: Path, blobs: str) -> None:
    with run_server(tmp_path / "data", blobs=blobs) as server:
        told = _push(server, tmp_path)

        assert _relayed(server) < 2000
        assert told[-1].done_bytes == told[-1].total_bytes


@pytest.mark.parametrize("whose", ["server", "client"])
def test_with_links_off_all_passes_the_server(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    settings = {"links": "off"} if whose == "server" else {}
    if whose == "client":
        monkeypatch.setenv("MODELKEEP_LINKS", "off")
    with run_server(tmp_path / "data", blobs=blobs, **settings) as server:
        _push(server, tmp_path)

        assert _relayed(server) > len(LARGE)


def test_a_store_that_clients_do_not_reach_is_no_hindrance(tmp_path: Path, blobs: str) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    url = f"{blobs}&public_endpoint=http://{nobody}"
    with run_server(tmp_path / "data", blobs=url) as server:
        _push(server, tmp_path)

        assert _relayed(server) > len(LARGE)
        assert list(_stores._useless) == [nobody]


@pytest.mark.parametrize("answer", liars.PUTS.values(), ids=liars.PUTS)
def test_whatever_the_store_says_the_push_is_whole(
    tmp_path: Path, blobs: str, answer: liars.Answer
) -> None:
    with liars.lying(liars.an_error(404), 0, put=answer) as address:
        url = f"{blobs}&public_endpoint=http://{address}"
        with run_server(tmp_path / "data", blobs=url) as server:
            told = _push(server, tmp_path)

            assert _relayed(server) > len(LARGE)
            assert told[-1].done_bytes == told[-1].total_bytes
