"""A client that is killed while it sends a large file by a link."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.client.proxy import Proxy
from tests.parts.s3 import bucket_at
from tests.raw import ask
from tests.running import RunningServer, run_server
from tests.waiting import until

import modelkeep
from modelkeep_server.values.s3_place import S3Place

MIB = 1024 * 1024
LARGE = os.urandom(MIB) * 64
PUSH = """
import sys, modelkeep
with modelkeep.Client(sys.argv[1], cache=sys.argv[2], user="ada") as registry:
    registry.push("churn", sys.argv[3])
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with a large file."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "large").write_bytes(LARGE)
    return tmp_path / "out"


@contextmanager
def _serving(home: Path, blobs: str) -> Iterator[tuple[RunningServer, Proxy]]:
    """Serve; clients reach the store by a way that counts."""
    store = S3Place.parse(blobs).endpoint.removeprefix("http://")
    with (
        Proxy(store) as proxy,
        run_server(
            home / "data", blobs=f"{blobs}&public_endpoint=http://{proxy.address}"
        ) as server,
    ):
        yield server, proxy


def _push_and_be_killed(server: RunningServer, proxy: Proxy, home: Path) -> None:
    """Push, until some of the file is on its way and some is not."""
    arguments = (server.address, str(home / "cache"), str(home / "out"))
    with subprocess.Popen([sys.executable, "-c", PUSH, *arguments]) as client:
        until(lambda: proxy.sent > 4 * MIB or client.poll() is not None)
        client.kill()
    assert 4 * MIB < proxy.sent < len(LARGE)


def _kept(blobs: str) -> list[str]:
    """List what is in the store, whole or under way."""
    place, bucket = S3Place.parse(blobs), bucket_at(blobs)
    under_way = [one.name for one in bucket.under_way("") if place.key(one.name)]
    return [one.name for one in bucket.objects(place.blobs)] + under_way


def test_the_next_push_is_whole_and_nothing_is_left_of_the_one_before(
    tmp_path: Path, blobs: str, out: Path
) -> None:
    with _serving(tmp_path, blobs) as (server, proxy):
        _push_and_be_killed(server, proxy, tmp_path)
        sent = proxy.sent
        with modelkeep.Client(server.address, cache=tmp_path / "cache", user="ada") as client:
            assert list(client.assets()) == []

            folder = client.pull(client.push("churn", out))

        assert (folder / "large").read_bytes() == LARGE
        assert proxy.sent - sent > len(LARGE)  # by a link again
        assert ask(server, "SELECT count(*) FROM staged_part") == [(0,)]
        until(lambda: len(_kept(blobs)) == len(("large", "manifest")))


@pytest.mark.usefixtures("out")
def test_what_nobody_sends_again_is_swept_after_a_day(tmp_path: Path, blobs: str) -> None:
    with _serving(tmp_path, blobs) as (server, proxy):
        _push_and_be_killed(server, proxy, tmp_path)
    assert ask(server, "SELECT count(*) FROM staged_part") == [(1,)]
    ask(server, "UPDATE staged_part SET changed_us = changed_us - ?", 24 * 3600 * 10**6)

    with _serving(tmp_path, blobs) as (server, _):
        until(lambda: _kept(blobs) == [])

    assert ask(server, "SELECT count(*) FROM staged_part") == [(0,)]
