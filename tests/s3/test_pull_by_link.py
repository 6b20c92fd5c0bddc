"""Pulls past the server: by links where they work, and right wherever they don't."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from tests.parts.ports import free_port
from tests.parts.s3 import bucket_at
from tests.running import RunningServer, run_server
from tests.s3 import liars
from tests.s3.test_links import ask_links
from tests.services.wire import Registry
from tests.waiting import until

import modelkeep
from modelkeep import _cache_parts, _http, _progress, _stores
from modelkeep_server.domain import links

MIB = 1024 * 1024
LARGE = os.urandom(MIB) * 16 + b"end"
SMALL = b"small"

_SERVICE = "modelkeep.v1.ArtifactService"


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test be a process that has not met any store."""
    monkeypatch.setattr(_stores, "_useless", {})


@contextmanager
def _client(server: RunningServer, home: Path) -> Iterator[modelkeep.Client]:
    with modelkeep.Client(server.address, cache=home / "cache", user="ada") as client:
        yield client


@contextmanager
def _serving(
    home: Path, blobs: str, public: str = "", **settings: str
) -> Iterator[tuple[RunningServer, modelkeep.Client]]:
    """Serve a version of a large and a small file; clients are sent to the public address."""
    url = f"{blobs}&public_endpoint=http://{public}" if public else blobs
    out = home / "out"
    out.mkdir()
    (out / "large").write_bytes(LARGE)
    (out / "small").write_bytes(SMALL)
    with (
        run_server(home / "data", blobs=url, **settings) as server,
        _client(server, home) as client,
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MODELKEEP_LINKS", "off")
            with _client(server, home) as pushing:
                pushing.push("churn", out)
        yield server, client


def _is_right(folder: Path) -> bool:
    return (folder / "large").read_bytes() == LARGE and (folder / "small").read_bytes() == SMALL


def _relayed(server: RunningServer) -> float:
    """Tell how many bytes of files the server has sent, once it has counted them."""
    method = f"{_SERVICE}/DownloadFiles"
    until(lambda: server.figure("modelkeep_calls_running", method=method) == 0)
    return server.figure("modelkeep_sent_bytes_total", method=method)


def _asked(server: RunningServer) -> float:
    """Tell how often the server gave links."""
    method = f"{_SERVICE}/CreateDownloadLinks"
    until(lambda: server.figure("modelkeep_calls_running", method=method) == 0)
    return server.figure("modelkeep_calls_total", method=method, code="OK")


@pytest.mark.parametrize("dest", ["dest", ""])
def test_a_large_file_does_not_pass_the_server(tmp_path: Path, blobs: str, dest: str) -> None:
    with _serving(tmp_path, blobs) as (server, client):
        told: list[modelkeep.Progress] = []

        folder = client.pull("churn", tmp_path / dest if dest else None, progress=told.append)

        assert _is_right(folder)
        assert _asked(server) == 1
        assert _relayed(server) < 1000
        assert told[-1].done_bytes == told[-1].total_bytes == len(LARGE) + len(SMALL)


def test_links_are_for_large_files_alone(tmp_path: Path, blobs: str) -> None:
    with _serving(tmp_path, blobs) as (server, client):
        client.pull("churn:1/small", tmp_path / "dest")

        assert _asked(server) == 0


@pytest.mark.parametrize("whose", ["server", "client"])
def test_with_links_off_all_passes_the_server(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    settings = {"links": "off"} if whose == "server" else {}
    if whose == "client":
        monkeypatch.setenv("MODELKEEP_LINKS", "off")
    with _serving(tmp_path, blobs, **settings) as (server, client):
        assert _is_right(client.pull("churn", tmp_path / "dest"))

        assert _asked(server) == 0
        assert _relayed(server) > len(LARGE)


def test_another_word_than_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELKEEP_LINKS", "no")

    with pytest.raises(modelkeep.InvalidArgumentError) as refused:
        modelkeep.Client()

    assert "MODELKEEP_LINKS is 'no'" in str(refused.value)


def test_an_expired_link_is_asked_for_anew(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "SECONDS", 3)
    monkeypatch.setattr(_cache_parts, "RANGE_BYTES", _cache_parts.BLOCK_BYTES)
    monkeypatch.setattr(_progress, "_PAUSE_SECONDS", 0)
    waited: list[float] = []

    def wait_once(seen: modelkeep.Progress) -> None:
        if seen.phase == "downloading" and seen.done_bytes > MIB and not waited:
            waited.append(seen.done_bytes)
            time.sleep(5)

    with _serving(tmp_path, blobs) as (server, client):
        folder = client.pull("churn", tmp_path / "dest", progress=wait_once)

        assert waited[0] < len(LARGE) // 2
        assert _is_right(folder)
        assert _relayed(server) < 1000


def test_a_store_that_clients_do_not_reach_is_not_asked_twice(tmp_path: Path, blobs: str) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with _serving(tmp_path, blobs, nobody) as (server, client):
        assert _is_right(client.pull("churn", tmp_path / "dest"))
        assert _relayed(server) > len(LARGE)
        assert list(_stores._useless) == [nobody]

        # Where it is now, it would answer; but this process has learned.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_http, "Get", _nothing_may_be_asked)
            assert _is_right(client.pull("churn", tmp_path / "again"))


def _nothing_may_be_asked(_url: str) -> None:
    raise AssertionError("the store was asked again")


def test_a_store_that_says_nothing_is_given_up_soon(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http.Get, "wait_seconds", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with _serving(tmp_path, blobs, address) as (server, client):
            assert _is_right(client.pull("churn", tmp_path / "dest"))

            assert _relayed(server) > len(LARGE)
            assert list(_stores._useless) == [address]


def test_a_pull_that_waits_for_the_store_can_be_given_up(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http.Get, "wait_seconds", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"

        def interrupt() -> None:
            with silent.accept()[0]:
                os.kill(os.getpid(), signal.SIGINT)
                ended.wait(timeout=40)

        ended = threading.Event()
        interrupting = threading.Thread(target=interrupt)
        with _serving(tmp_path, blobs, address) as (_, client):
            interrupting.start()
            with pytest.raises(KeyboardInterrupt):
                client.pull("churn", tmp_path / "dest")
            assert interrupting.is_alive()

        ended.set()
        interrupting.join()


@pytest.mark.parametrize("answer", liars.ALL.values(), ids=liars.ALL)
def test_whatever_the_store_says_the_bytes_are_right(
    tmp_path: Path, blobs: str, answer: liars.Answer
) -> None:
    with (
        liars.lying(answer, len(LARGE)) as address,
        _serving(tmp_path, blobs, address) as (server, client),
    ):
        told: list[modelkeep.Progress] = []

        assert _is_right(client.pull("churn", tmp_path / "dest", progress=told.append))
        assert _asked(server) > 0
        assert told[-1].done_bytes == len(LARGE) + len(SMALL)


def _spoil(server: RunningServer, blobs: str) -> None:
    """Put other bytes of the same size in the place of the large file's."""
    with grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel, "default")
        (link,) = ask_links(registry, registry.version(1), "large").links
    name = urlsplit(link.url).path.split("/", 2)[2]
    bucket_at(blobs).put(name, LARGE[:-1] + b"!")


def _lose(server: RunningServer, blobs: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel, "default")
        (link,) = ask_links(registry, registry.version(1), "large").links
    bucket_at(blobs).remove(urlsplit(link.url).path.split("/", 2)[2])


@pytest.mark.parametrize("harm", [_spoil, _lose])
def test_bytes_that_are_wrong_in_the_store_are_told_as_lost(
    tmp_path: Path, blobs: str, harm: Callable[[RunningServer, str], None]
) -> None:
    with _serving(tmp_path, blobs) as (server, client):
        harm(server, blobs)

        with pytest.raises(modelkeep.DataLossError) as lost:
            client.pull("churn", tmp_path / "dest")

        assert lost.value.reason == "BLOB_DAMAGED"
        assert "X-Amz-" not in str(lost.value) + str(lost.value.metadata)
        assert not (tmp_path / "dest").exists()
