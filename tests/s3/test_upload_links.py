"""Links for uploads: the bytes of the digest and no others get anywhere by one."""

import base64
import hashlib
import http.client
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from tests.collecting import age, collect
from tests.parts.s3 import bucket_at
from tests.raw import ask
from tests.running import RunningServer, run_server
from tests.s3 import liars
from tests.s3.test_links import ask_links
from tests.services.wire import MIB, Registry, chunk, digest, download, header, pack, refused
from tests.waiting import until

from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs.s3_links import LinkTrust, refuses_others
from modelkeep_server.values.s3_place import S3Place

DATA = os.urandom(2 * MIB + 5)
NAME = digest(DATA)
OTHER = DATA[:-1] + b"!"


def _ask(registry: Registry, **blobs: int) -> pb.CreateUploadLinksResponse:
    request = pb.CreateUploadLinksRequest(
        parent=registry.name,
        blobs=[pb.BlobToLink(digest=f"sha256:{name}", size=size) for name, size in blobs.items()],
    )
    return registry.artifacts.CreateUploadLinks(request, metadata=registry.metadata)


def upload_link(registry: Registry, data: bytes = DATA) -> pb.UploadLink:
    """Ask for a link to send a blob."""
    (link,) = _ask(registry, **{digest(data).removeprefix("sha256:"): len(data)}).links
    return link


def put(link: pb.UploadLink, data: bytes, **headers: str) -> None:
    """Send bytes by a link."""
    request = urllib.request.Request(link.url, data, {**(headers or link.headers)}, method="PUT")
    with urllib.request.urlopen(request) as response:
        response.read()


def _refused_put(link: pb.UploadLink, data: bytes, **headers: str) -> int:
    with pytest.raises(HTTPError) as refusal:
        put(link, data, **headers)
    refusal.value.close()
    return refusal.value.code


def _finish(registry: Registry, data: bytes = DATA) -> list[pb.BlobProgress]:
    return registry.upload([header(registry.name, digest(data), len(data), len(data))])


def _object(link: pb.UploadLink) -> str:
    return urlsplit(link.url).path.split("/", 2)[2]


def _upload(link: pb.UploadLink) -> str:
    return parse_qs(urlsplit(link.url).query)["uploadId"][0]


def _is_over(link: pb.UploadLink, blobs: str) -> bool:
    """Tell whether nothing is left of what a link was for."""
    bucket, name = bucket_at(blobs), _object(link)
    return bucket.find(name) is None and not list(bucket.under_way(name))


def test_what_was_put_is_a_blob_once_the_server_has_looked_at_it(
    registry: Registry, shared_url: str
) -> None:
    link = upload_link(registry)
    assert link.digest == NAME

    put(link, DATA)
    assert registry.missing(NAME) == {NAME: 0}
    assert bucket_at(shared_url).find(_object(link)) is None
    answers = _finish(registry)

    assert answers[-1].complete
    assert registry.missing(NAME) == {}
    registry.create(files={"f": DATA})
    assert download(registry, registry.version(1), "f") == [DATA]


def test_other_bytes_are_refused_by_the_store(registry: Registry, shared_url: str) -> None:
    data, other = os.urandom(100), os.urandom(100)
    link = upload_link(registry, data)
    others = upload_link(registry.beside(), other).headers

    assert _refused_put(link, other) == 400
    assert _refused_put(link, other, **others) == 403
    assert _refused_put(link, other, Unrelated="x") in (400, 403)

    assert bucket_at(shared_url).pieces(_object(link), _upload(link)) == []
    with refused("INVALID_ARGUMENT", "UPLOAD_OFFSET_MISMATCH"):
        _finish(registry, data)
    registry.push_blobs(data)
    assert registry.missing(digest(data)) == {}


def test_other_bytes_in_the_store_are_found_out_before_anyone_sees_them(
    registry: Registry, shared_url: str
) -> None:
    link = upload_link(registry)
    bucket_at(shared_url).send(_object(link), _upload(link), 1, OTHER)

    with refused("INVALID_ARGUMENT", "DIGEST_MISMATCH"):
        _finish(registry)

    assert registry.missing(NAME) == {NAME: 0}
    assert _is_over(link, shared_url)


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x"])
def test_another_size_than_announced_is_found_out(
    registry: Registry, shared_url: str, data: bytes
) -> None:
    link = upload_link(registry)
    bucket_at(shared_url).send(_object(link), _upload(link), 1, data)

    with refused("INVALID_ARGUMENT", "UPLOAD_OFFSET_MISMATCH"):
        _finish(registry)

    assert registry.missing(NAME) == {NAME: 0}


Trick = Callable[[bytes, bytes, str], tuple[bytes, dict[str, str]]]
"""Gives a body and headers, of what was announced, other bytes, and where those are too."""


def _as_it_is(data: bytes, _other: bytes, _where: str) -> tuple[bytes, dict[str, str]]:
    return data, {}


def _of_other_bytes(_data: bytes, other: bytes, _where: str) -> tuple[bytes, dict[str, str]]:
    return other, {}


def _of_another_kind(data: bytes, _other: bytes, _where: str) -> tuple[bytes, dict[str, str]]:
    return data, {"Content-Encoding": "gzip", "Content-Type": "text/html"}


def _copied(_data: bytes, _other: bytes, where: str) -> tuple[bytes, dict[str, str]]:
    return b"", {"x-amz-copy-source": where}


def _of_another_checksum(_data: bytes, other: bytes, _where: str) -> tuple[bytes, dict[str, str]]:
    return other, {"x-amz-checksum-algorithm": "CRC32"}


def _with_a_trailer(_data: bytes, other: bytes, _where: str) -> tuple[bytes, dict[str, str]]:
    trailer = b"x-amz-checksum-sha256:" + base64.b64encode(hashlib.sha256(other).digest())
    return b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(other), other, trailer), {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(other)),
        "x-amz-trailer": "x-amz-checksum-sha256",
        "Content-Encoding": "aws-chunked",
    }


# By the last three a MinIO takes any bytes: headers that are not signed are heeded.
TRICKS = (
    _as_it_is,
    _of_other_bytes,
    _of_another_kind,
    _copied,
    _of_another_checksum,
    _with_a_trailer,
)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_link_changes_nothing_once_its_blob_is_published(
    registry: Registry, trick: Trick
) -> None:
    data, other = os.urandom(1000), os.urandom(1000)
    link = upload_link(registry, data)
    put(link, data)
    _finish(registry, data)
    registry.create(files={"f": data, "other": other})
    (elsewhere,) = ask_links(registry, registry.version(1), "other").links
    body, headers = trick(data, other, urlsplit(elsewhere.url).path)

    assert _refused_put(link, body, **{**link.headers, **headers}) in (400, 403, 404)

    assert download(registry, registry.version(1), "f") == [data]


@pytest.mark.parametrize("trick", TRICKS[1:])
def test_whatever_a_store_takes_nothing_else_is_published(registry: Registry, trick: Trick) -> None:
    data, other = os.urandom(1000), os.urandom(1000)
    registry.create(files={"other": other})
    (elsewhere,) = ask_links(registry, registry.version(1), "other").links
    body, headers = trick(data, other, urlsplit(elsewhere.url).path)
    link = upload_link(registry, data)
    with suppress(HTTPError):
        put(link, body, **{**link.headers, **headers})

    with suppress(grpc.RpcError):
        _finish(registry, data)

    registry.create("same", files={"f": data})
    assert download(registry, registry.version(1, "same"), "f") == [data]


def test_what_is_on_its_way_when_the_blob_is_published_comes_too_late(registry: Registry) -> None:
    data = os.urandom(1000)
    link = upload_link(registry, data)
    with _half_sent(link, data) as late:
        put(link, data)
        _finish(registry, data)
        late.send(data[len(data) // 2 :])

        assert late.getresponse().status in (400, 404)

    registry.create(files={"f": data})
    assert download(registry, registry.version(1), "f") == [data]


@contextmanager
def _half_sent(link: pb.UploadLink, data: bytes) -> Iterator[http.client.HTTPConnection]:
    where = urlsplit(link.url)
    connection = http.client.HTTPConnection(where.netloc, timeout=30)
    connection.putrequest("PUT", f"{where.path}?{where.query}")
    for name, value in {**link.headers, "Content-Length": str(len(data))}.items():
        connection.putheader(name, value)
    connection.endheaders(data[: len(data) // 2])
    yield connection
    connection.close()


def test_there_is_no_link_to_what_is_here(registry: Registry) -> None:
    registry.push_blobs(DATA)
    other = os.urandom(100)

    answer = _ask(registry, **{NAME[7:]: len(DATA), digest(other)[7:]: len(other)})

    assert [link.digest for link in answer.links] == [digest(other)]
    assert upload_link(registry.beside()).digest == NAME


def test_a_blob_that_is_being_sent_is_left_alone(registry: Registry) -> None:
    stream = registry.stream()
    stream.send(header(registry.name, NAME, len(DATA)), chunk(DATA[:MIB]))
    until(lambda: _is_held(registry))

    stream.send(chunk(DATA[MIB : 2 * MIB]), chunk(DATA[2 * MIB :]))
    assert stream.answers()[-1].complete


def _under_way(blobs: str) -> list[str]:
    place = S3Place.parse(blobs)
    return [one.name for one in bucket_at(blobs).under_way("") if place.key(one.name)]


def test_links_for_the_same_blob_again_and_again_leave_the_last(tmp_path: Path, blobs: str) -> None:
    data = os.urandom(1000)
    with (
        run_server(tmp_path / "data", blobs=blobs) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel, "default")
        first = upload_link(registry, data)
        put(first, data)
        again = [upload_link(registry, data) for _ in range(5)]

        assert ask(server, "SELECT count(*) FROM staged_part") == [(1,)]
        assert _under_way(blobs) == [_object(again[-1])]
        assert _refused_put(first, data) == 404
        put(again[-1], data)
        assert _finish(registry, data)[-1].complete
        assert ask(server, "SELECT count(*) FROM staged_part") == [(0,)]
        assert _under_way(blobs) == []


def test_a_request_is_for_a_hundred_links_at_most(registry: Registry) -> None:
    many = {os.urandom(32).hex(): 1 for _ in range(101)}
    with refused("INVALID_ARGUMENT", "TOO_MANY_ITEMS", "blobs"):
        _ask(registry, **many)
    many.popitem()

    links = _ask(registry, **many).links

    assert [link.digest for link in links] == [f"sha256:{name}" for name in many]


def test_a_request_that_is_refused_leaves_nothing_in_the_store(tmp_path: Path, blobs: str) -> None:
    with (
        run_server(tmp_path / "data", blobs=blobs) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel, "default")
        stream = registry.stream()
        stream.send(header(registry.name, NAME, len(DATA)), chunk(DATA[:MIB]))
        until(lambda: _is_held(registry))

        with refused("ABORTED", "UPLOAD_IN_PROGRESS"):
            _ask(registry, **{"a" * 64: 1, NAME[7:]: len(DATA)})

        assert _under_way(blobs) == []
        stream.cancel()


def _is_held(registry: Registry) -> bool:
    try:
        upload_link(registry)
    except grpc.RpcError as error:
        return "UPLOAD_IN_PROGRESS" in str(error.trailing_metadata())
    return False


def test_what_is_sent_anew_takes_the_place_of_what_was_put(
    registry: Registry, shared_url: str
) -> None:
    link = upload_link(registry)
    put(link, DATA)

    registry.push_blobs(DATA)

    assert _is_over(link, shared_url)
    assert registry.missing(NAME) == {}


def test_what_can_not_be_sent_by_a_link_is_refused(registry: Registry) -> None:
    with refused("INVALID_ARGUMENT", "FIELD_INVALID", "blobs[0].size"):
        _ask(registry, **{NAME[7:]: 5 * 1024**3 + 1})
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        upload_link(Registry(registry.channel, "not-there"))


def test_a_link_for_an_upload_is_in_no_log(shared: RunningServer, registry: Registry) -> None:
    link = upload_link(registry)

    assert "X-Amz-Signature" in link.url
    assert "CreateUploadLinks" in str(shared.log())
    assert "X-Amz-" not in str(shared.log())


def test_links_for_uploads_can_be_turned_off(tmp_path: Path, blobs: str) -> None:
    with (
        run_server(tmp_path / "data", blobs=blobs, links="off") as server,
        grpc.insecure_channel(server.address) as channel,
        refused("FAILED_PRECONDITION", "LINKS_UNAVAILABLE"),
    ):
        upload_link(Registry(channel, "default"))


def test_collection_leaves_alone_what_was_put(tmp_path: Path, blobs: str) -> None:
    with (
        run_server(tmp_path / "data", blobs=blobs) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        registry = Registry(channel, "default")
        registry.upload([pack(registry.name, b"garbage")])
        link = upload_link(registry)
        put(link, DATA)
        age(server)

        assert collect(registry).deleted_blobs == 1

        assert _finish(registry)[-1].complete


@pytest.mark.parametrize("is_put", [True, False])
def test_what_was_put_and_forgotten_is_swept_after_a_day(
    tmp_path: Path, blobs: str, is_put: bool
) -> None:
    with run_server(tmp_path / "data", blobs=blobs) as server:
        with grpc.insecure_channel(server.address) as channel:
            link = upload_link(Registry(channel, "default"))
        if is_put:
            put(link, DATA)
    assert not _is_over(link, blobs)
    ask(server, "UPDATE staged_part SET changed_us = changed_us - ?", 24 * 3600 * 10**6)

    with run_server(tmp_path / "data", blobs=blobs):
        until(lambda: _is_over(link, blobs))

    assert ask(server, "SELECT count(*) FROM staged_part") == [(0,)]


def test_a_store_that_refuses_other_bytes_is_known_by_trying(blobs: str) -> None:
    bucket = bucket_at(blobs)

    assert refuses_others(bucket, "a/b")
    assert (bucket.find("a/b"), list(bucket.under_way("a/b"))) == (None, [])


def test_a_store_that_takes_any_bytes_gets_no_uploads_by_link() -> None:
    with liars.lying(liars.an_error(404), 0, put=liars.taken) as address:
        bucket = bucket_at(f"s3://bucket?endpoint=http://{address}")

        assert refuses_others(bucket, "a/b") is False


OTHER_REFUSALS = {code: liars.an_error(code) for code in (302, 400, 403, 412, 500, 501, 503)} | {
    name: liars.refusing(name) for name in ("InvalidRequest", "RequestTimeout", "SlowDown")
}


@pytest.mark.parametrize("refuse", OTHER_REFUSALS.values(), ids=OTHER_REFUSALS)
def test_a_store_that_refuses_for_another_reason_is_not_trusted_yet(refuse: liars.Answer) -> None:
    for put in (refuse, liars.refusing_others(refuse)):
        with liars.lying(liars.an_error(404), 0, put=put) as address:
            bucket = bucket_at(f"s3://bucket?endpoint=http://{address}")

            assert refuses_others(bucket, "a/b") is None


def test_a_store_that_refuses_all_by_their_checksum_is_not_trusted_yet() -> None:
    with liars.lying(liars.an_error(404), 0, put=liars.refusing("BadDigest")) as address:
        bucket = bucket_at(f"s3://bucket?endpoint=http://{address}")

        assert refuses_others(bucket, "a/b") is None


def test_a_store_that_could_not_be_judged_is_tried_again_a_minute_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = [liars.an_error(403), liars.refusing("BadDigest")]
    tried: list[int] = []

    def refuse(handler: BaseHTTPRequestHandler, begin: int, end: int) -> None:
        tried.append(end)
        refusals[min(len(tried), 2) - 1](handler, begin, end)

    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with liars.lying(liars.an_error(404), 0, put=liars.refusing_others(refuse)) as address:
        trust = LinkTrust(bucket_at(f"s3://bucket?endpoint=http://{address}"))

        assert not trust.is_given("a/b")
        now += 59
        assert not trust.is_given("a/b")
        assert len(tried) == 1
        now += 2
        assert trust.is_given("a/b")
        assert trust.is_given("a/b")
        assert len(tried) == 2
