"""Links: who gets one, what it gives, and for how long."""

import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import grpc
import pytest
from tests.collecting import purge
from tests.parts.s3 import bucket_at
from tests.running import RunningServer, run_server
from tests.services.wire import Registry, digest, refused

from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.domain import links

FILES = {"a/m": b"0123456789" * 1000, "b": b"b", "empty": b""}


def ask_links(registry: Registry, version: str, *paths: str) -> pb.CreateDownloadLinksResponse:
    """Ask for links."""
    request = pb.CreateDownloadLinksRequest(version=version, paths=paths)
    return registry.artifacts.CreateDownloadLinks(request, metadata=registry.metadata)


def _get(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
        return bytes(response.read())


def test_links_give_the_files_bytes_in_the_order_asked_for(registry: Registry) -> None:
    registry.create(files=FILES)
    registry.set_alias("best", 1)
    paths = ["empty", "b", "a/m", "b"]
    before = time.time()

    answer = ask_links(registry, registry.version("@best"), *paths)

    assert [link.path for link in answer.links] == paths
    for link in answer.links:
        assert _get(link.url) == FILES[link.path]
        assert (link.digest, link.size) == (digest(FILES[link.path]), len(FILES[link.path]))
    assert before + 299 < answer.expire_time.ToSeconds() <= time.time() + 300


def test_a_link_gives_ranges(registry: Registry) -> None:
    registry.create(files=FILES)

    (link,) = ask_links(registry, registry.version(1), "a/m").links

    assert _get(link.url, Range="bytes=5-14") == b"5678901234"


def test_a_link_gives_nothing_else_and_changes_nothing(registry: Registry) -> None:
    registry.create(files=FILES)
    (link, other) = ask_links(registry, registry.version(1), "a/m", "b").links
    elsewhere = urlsplit(link.url)._replace(path=urlsplit(other.url).path).geturl()

    for request in (
        urllib.request.Request(elsewhere),
        urllib.request.Request(link.url, b"other", method="PUT"),
        urllib.request.Request(link.url, method="DELETE"),
    ):
        with pytest.raises(HTTPError) as forbidden, urllib.request.urlopen(request):
            pass
        assert forbidden.value.code == 403
        forbidden.value.close()
    assert _get(link.url) == FILES["a/m"]


def test_no_browser_shows_what_a_link_gives(registry: Registry) -> None:
    page = b"<html><script>alert(document.domain)</script></html>"
    registry.create(files={"page.html": page})

    (link,) = ask_links(registry, registry.version(1), "page.html").links

    with urllib.request.urlopen(link.url) as response:
        assert response.read() == page
        assert response.headers["Content-Disposition"] == "attachment"
        assert response.headers["Content-Type"] == "application/octet-stream"
    with pytest.raises(HTTPError) as forbidden:
        _get(link.url.replace("application%2Foctet-stream", "text%2Fhtml"))
    assert forbidden.value.code == 403
    forbidden.value.close()


def test_an_expired_link_is_refused_by_the_store(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.create(files=FILES)
    monkeypatch.setattr(links, "SECONDS", 1)
    (link,) = ask_links(registry, registry.version(1), "a/m").links
    time.sleep(2.5)

    with pytest.raises(HTTPError) as forbidden:
        _get(link.url)

    assert forbidden.value.code == 403
    forbidden.value.close()


def test_there_is_no_link_to_what_is_not_there(registry: Registry) -> None:
    registry.create(files=FILES)

    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        ask_links(registry, registry.version(2), "b")
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND", "paths[1]"):
        ask_links(registry, registry.version(1), "b", "not-there")
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        ask_links(registry.beside(), registry.beside().version(1), "b")
    with refused("INVALID_ARGUMENT", "TOO_MANY_ITEMS", "paths"):
        ask_links(registry, registry.version(1), *["b"] * 1001)


def test_there_is_no_link_to_what_was_deleted(registry: Registry) -> None:
    registry.create(files=FILES)
    registry.create(files=FILES)
    registry.delete(1)
    purge(registry, 2)

    with refused("FAILED_PRECONDITION", "VERSION_DELETED"):
        ask_links(registry, registry.version(1), "b")
    with refused("FAILED_PRECONDITION", "CONTENT_PURGED"):
        ask_links(registry, registry.version(2), "b")
    registry.undelete(1)
    assert ask_links(registry, registry.version(1), "b").links


def test_links_can_be_turned_off(tmp_path: Path, blobs: str) -> None:
    with (
        run_server(tmp_path / "data", blobs=blobs, links="off") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel)
        registry.create(files=FILES)

        with refused("FAILED_PRECONDITION", "LINKS_UNAVAILABLE"):
            ask_links(registry, registry.version(1), "b")


def test_there_are_no_links_into_a_data_folder(server: RunningServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel)
        registry.create(files=FILES)

        with refused("FAILED_PRECONDITION", "LINKS_UNAVAILABLE"):
            ask_links(registry, registry.version(1), "b")


def test_clients_are_sent_to_the_stores_public_address(tmp_path: Path, blobs: str) -> None:
    endpoint = urlsplit(blobs.partition("endpoint=")[2])
    public = f"localhost:{endpoint.port}"
    with (
        run_server(tmp_path / "data", blobs=f"{blobs}&public_endpoint=http://{public}") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel)
        registry.create(files=FILES)

        (link,) = ask_links(registry, registry.version(1), "b").links

        assert urlsplit(link.url).netloc == public
        assert _get(link.url) == FILES["b"]


def test_a_link_is_in_no_log(shared: RunningServer, registry: Registry) -> None:
    registry.create(files=FILES)
    (link,) = ask_links(registry, registry.version(1), "b").links

    said = [line for line in shared.log() if "CreateDownloadLinks" in str(line)]

    assert said
    assert "X-Amz-" in link.url
    assert "X-Amz-" not in str(shared.log())


def test_a_link_to_bytes_that_were_collected_gives_nothing(
    registry: Registry, shared_url: str
) -> None:
    registry.create(files=FILES)
    (link,) = ask_links(registry, registry.version(1), "a/m").links
    bucket_at(shared_url).remove(urlsplit(link.url).path.split("/", 2)[2])

    with pytest.raises(HTTPError) as missing:
        _get(link.url)

    assert missing.value.code == 404
    missing.value.close()
