"""Collection of what lies in a bucket without a row."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from tests.client.proxy import Proxy
from tests.collecting import age, collect
from tests.parts.ports import free_port
from tests.parts.s3 import bucket_at
from tests.running import run_server
from tests.services.wire import Registry, download
from tests.waiting import until

from modelkeep.errors import UnavailableError
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.values.s3_place import S3Place

FILES = {str(number): os.urandom(1000) for number in range(20)}


def _objects(blobs: str) -> set[str]:
    return {one.name for one in bucket_at(blobs).objects(S3Place.parse(blobs).blobs)}


def _leave_some(blobs: str) -> None:
    """Put small blobs, as a server does for a pack, and lose the store in the middle."""
    place = S3Place.parse(blobs)
    with Proxy(place.endpoint.removeprefix("http://")) as proxy, ThreadPoolExecutor(1) as pool:
        way = blobs.replace(place.endpoint, f"http://{proxy.address}")
        store = S3Store(S3Place.parse(way), bucket_at(way))
        putting = pool.submit(store.put_many, [os.urandom(10_000) for _ in range(2000)])
        until(lambda: proxy.sent > 1_000_000)
        proxy.lead_to(f"127.0.0.1:{free_port()}")
        proxy.cut()
        with pytest.raises(UnavailableError):
            putting.result()


def test_what_was_put_and_got_no_row_goes_after_its_grace_time(tmp_path: Path, blobs: str) -> None:
    with (
        run_server(tmp_path / "data", blobs=blobs) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel, "default")
        registry.create(files=FILES)
        named = _objects(blobs)
        _leave_some(blobs)
        left = _objects(blobs) - named
        assert 0 < len(left) < 2000

        young = collect(registry)
        assert (young.deleted_blobs, _objects(blobs)) == (0, named | left)
        age(server)
        old = collect(registry)

        assert old.deleted_blobs == len(left)
        # A store may list what was cut off as shorter than it is.
        assert 0 < old.deleted_bytes <= 10_000 * len(left)
        assert _objects(blobs) == named
        assert download(registry, registry.version(1), *FILES) == list(FILES.values())
