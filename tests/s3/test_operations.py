"""Long work while its store does not do what it is asked."""

from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from google.rpc.code_pb2 import Code
from tests.client.proxy import Proxy
from tests.collecting import age, begin, collect, finished, purge
from tests.running import run_server
from tests.services.wire import Registry

from modelkeep_server.domain import operations
from modelkeep_server.values.s3_place import S3Place


def test_a_collection_whose_store_is_gone_says_so_and_another_does_its_work(
    tmp_path: Path, blobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "PATIENCE_SECONDS", 1.0)
    there = urlsplit(S3Place.parse(blobs).endpoint).netloc
    with (
        Proxy(there) as proxy,
        run_server(tmp_path / "data", blobs=blobs.replace(there, proxy.address)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        r = Registry(channel, "default")
        r.create(files={"own": b"own"})
        purge(r, 1)
        age(server)
        proxy.lead_to("127.0.0.1:1")
        proxy.cut()

        ended = finished(r, begin(r))

        assert ended.error.code == Code.UNAVAILABLE
        assert ended.error.message.startswith("STORAGE_UNAVAILABLE: the blob store ")
        (said,) = [line for line in server.log() if line["level"] == "error"]
        assert said["event"].startswith(f"{ended.name} waits: the blob store ")
        proxy.lead_to(there)
        assert collect(r).deleted_blobs == 2
