"""Whoever speaks TLS to the registry sends and gets no contents in plain text, by no link."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.parts.tls import encrypted
from tests.running import RunningServer, run_server
from tests.waiting import until

import modelkeep
from modelkeep import _stores

LARGE = os.urandom(1024 * 1024) * 16 + b"end"
# Leads to this machine, and is none of its names.
ELSEWHERE = "0.0.0.0"  # nobody listens there


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test be a process that has not met any store."""
    monkeypatch.setattr(_stores, "_useless", {})


@contextmanager
def _serving(home: Path, blobs: str, host: str) -> Iterator[RunningServer]:
    """Serve, and send clients to the store by a name of its host."""
    port = urlsplit(blobs.partition("endpoint=")[2]).port
    url = f"{blobs}&public_endpoint=http://{host}:{port}"
    with run_server(home / "data", blobs=url) as server:
        yield server


def _push_and_pull(url: str, home: Path) -> None:
    out = home / "out"
    out.mkdir()
    (out / "large").write_bytes(LARGE)
    with modelkeep.Client(url, cache=home / "cache", user="ada") as client:
        folder = client.pull(client.push("churn", out))
    assert (folder / "large").read_bytes() == LARGE


def _relayed(server: RunningServer) -> tuple[bool, bool]:
    """Tell whether the file passed the server on its way in, and on its way out."""
    came = _counted(server, "UploadBlobs", "modelkeep_received_bytes_total")
    went = _counted(server, "DownloadFiles", "modelkeep_sent_bytes_total")
    return came > len(LARGE), went > len(LARGE)


def _counted(server: RunningServer, name: str, figure: str) -> float:
    method = f"modelkeep.v1.ArtifactService/{name}"
    until(lambda: server.figure("modelkeep_calls_running", method=method) == 0)
    return server.figure(figure, method=method)


def test_a_plain_link_to_another_machine_is_not_followed(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        _serving(tmp_path, blobs, ELSEWHERE) as server,
        encrypted(server.address, tmp_path) as (address, certificate),
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        _push_and_pull(f"https://{address}", tmp_path)

        assert _relayed(server) == (True, True)


def test_a_plain_link_to_this_machine_is_followed(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        _serving(tmp_path, blobs, "localhost") as server,
        encrypted(server.address, tmp_path) as (address, certificate),
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        _push_and_pull(f"https://{address}", tmp_path)

        assert _relayed(server) == (False, False)


def test_who_speaks_to_the_registry_in_plain_text_follows_any_link(
    tmp_path: Path, blobs: str
) -> None:
    with _serving(tmp_path, blobs, ELSEWHERE) as server:
        _push_and_pull(f"http://{server.address}", tmp_path)

        assert _relayed(server) == (False, False)


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("https://store.example/b", True),
        ("http://127.0.0.2:9000/b", True),
        ("http://[::1]:9000/b", True),
        ("http://LOCALHOST/b", True),
        ("http://store.example/b", False),
        ("http://localhost.example/b", False),
        ("http://127.0.0.1@store.example/b", False),
        ("http://10.0.0.7/b", False),
        ("http:///b", False),
        ("http://[::1/b", False),
        ("ftp://127.0.0.1/b", False),
    ],
)
def test_which_links_are_followed_over_tls(url: str, followed: bool) -> None:
    assert _stores.is_useful(url, encrypted=True) == followed
