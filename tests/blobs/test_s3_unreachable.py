"""A store that does not answer, or not well: told soon, and used again once it does."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
from tests.blobs.spec import DATA, SIZE, content
from tests.blobs.test_s3 import PIECE, content_or_none
from tests.client.proxy import Proxy
from tests.parts.ports import free_port
from tests.parts.s3 import bucket_at
from tests.parts.seaweed import seaweed

from modelkeep.errors import AbortedError, UnavailableError
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.values.s3_place import S3Place

# What a call may take in all, which is less than its caller's patience.
PATIENCE_SECONDS = 30


def store_at(url: str, port: int | str) -> S3Store:
    """Open a store as seen at another port."""
    place = S3Place.parse(url)
    there = f"s3://{place.bucket}/{place.prefix}?endpoint=http://127.0.0.1:{port}"
    return S3Store(S3Place.parse(there), bucket_at(there), PIECE)


def everything(store: S3Store, key: str) -> list[Callable[[], object]]:
    """All that is asked of a store that has a blob `key`."""
    part = store.stage(SIZE)
    part.write(DATA * 3)
    small = store.stage(SIZE)
    return [
        lambda: store.put_many([DATA]),
        lambda: list(store.read(key, 0, SIZE)),
        lambda: store.stage(SIZE, "0" * 32),
        lambda: store.staged_keys(0),
        lambda: store.remove_staged("1" * 32),
        lambda: store.remove("2" * 32),
        part.flush,
        small.publish,
    ]


def told(act: Callable[[], object]) -> float:
    """Expect that something is refused, and answer within how many seconds it was."""
    began = time.monotonic()
    with pytest.raises(UnavailableError) as refused:
        act()
    assert refused.value.reason == "STORAGE_UNAVAILABLE"
    assert refused.value.retry_after_seconds
    return time.monotonic() - began


@contextmanager
def refusing(code: int) -> Iterator[int]:
    """Answer everything with an error; give the port."""

    class Refuse(StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                size = 0
                while line.strip():
                    name, _, value = line.lower().partition(b":")
                    size = int(value) if name == b"content-length" else size
                    line = self.rfile.readline()
                self.rfile.read(size)
                self.wfile.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % code)

    with ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def url(make_blobs: Callable[[], str]) -> str:
    return make_blobs()


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with Proxy(S3Place.parse(url).endpoint.removeprefix("http://")) as between:
        yield between


@pytest.fixture
def store(url: str, proxy: Proxy) -> S3Store:
    return store_at(url, proxy.address.rpartition(":")[2])


def test_where_nobody_listens_all_is_refused_at_once(url: str) -> None:
    store = store_at(url, free_port())

    for act in everything(store, "0" * 32):
        assert told(act) < PATIENCE_SECONDS


def test_a_store_that_falls_silent_is_told_within_the_callers_patience(
    store: S3Store, proxy: Proxy
) -> None:
    [key] = store.put_many([DATA])
    acts = everything(store, key)
    proxy.withhold_answers()

    with ThreadPoolExecutor(len(acts)) as threads:
        seconds = list(threads.map(told, acts))

    assert max(seconds) < PATIENCE_SECONDS
    proxy.cut()
    assert content(store, key) == DATA


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_store_that_answers_errors_is_told_at_once(url: str, code: int) -> None:
    with refusing(code) as port:
        for act in everything(store_at(url, port), "0" * 32):
            assert told(act) < PATIENCE_SECONDS


@pytest.mark.parametrize("at", [0, 1, 100_000, SIZE - 1])
def test_a_read_that_breaks_off_goes_on_where_it_was(store: S3Store, proxy: Proxy, at: int) -> None:
    [key] = store.put_many([DATA])
    proxy.cut_after_received(at)

    assert content(store, key) == DATA
    assert proxy.cuts == 1


@pytest.mark.parametrize("at", [0, 1, 100_000, PIECE, 2 * PIECE])
def test_a_write_that_breaks_off_is_whole_or_refused(store: S3Store, proxy: Proxy, at: int) -> None:
    whole = DATA * 6
    part = store.stage(len(whole))
    proxy.cut_after_sent(at)

    part.write(whole)
    part.publish()

    assert content(store, part.key, len(whole)) == whole
    assert proxy.cuts == 1


def test_an_answer_that_is_lost_may_have_been_a_yes(store: S3Store, proxy: Proxy) -> None:
    whole = DATA * 6
    part = store.stage(len(whole))
    part.write(whole)
    assert part.flush(last=True) == len(whole)

    # The store puts the pieces together, and its answer is cut.
    proxy.cut_after_received(0)
    with suppress(AbortedError):
        part.publish()

    # MinIO, cut off at that, may have lost both the pieces and what they became (one in five,
    # asked again or not): then the part is empty, and is sent again.
    if content_or_none(store, part.key) is None:
        part.close()
        part = store.stage(len(whole), part.key)
        assert part.size == 0
        part.write(whole)
        part.publish()
    assert content(store, part.key, len(whole)) == whole


def test_a_store_that_was_killed_is_used_again() -> None:
    with seaweed() as server:
        url = server.url()
        store = store_at(url, server.port)
        [key] = store.put_many([DATA])
        part = store.stage(len(DATA * 6))
        part.write(DATA * 6)
        durable = part.flush()
        server.kill()

        for act in everything(store, key):
            told(act)
        part.close()
        server.start()

        assert content(store, key) == DATA
        resumed = store.stage(len(DATA * 6), part.key)
        assert resumed.size == durable
        resumed.write((DATA * 6)[durable:])
        resumed.publish()
        assert content(store, part.key, len(DATA * 6)) == DATA * 6
