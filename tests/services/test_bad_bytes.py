"""What the server says of uploads that are not what they should be."""

import uuid
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import (
    MIB,
    Registry,
    chunk,
    chunks,
    digest,
    header,
    pack,
    refused,
)

from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.values.limits import MAX_BLOB_SIZE

OTHER = digest(b"other bytes")


def _data(size: int = 3 * MIB // 2) -> bytes:
    """Make bytes that no other test has sent."""
    return uuid.uuid4().bytes * (size // 16)


Messages = Callable[[str, bytes], list[pb.UploadBlobsRequest]]

LEAVE_NOTHING: dict[str, tuple[Messages, str, str]] = {
    "no header": (lambda p, d: [chunk(d[:9])], "UPLOAD_OUT_OF_ORDER", "chunk"),
    "a message with nothing in it": (
        lambda p, d: [pb.UploadBlobsRequest()],
        "UPLOAD_OUT_OF_ORDER",
        "content",
    ),
    "a wrong digest": (
        lambda p, d: [header(p, OTHER, len(d)), *chunks(d)],
        "DIGEST_MISMATCH",
        "header.digest",
    ),
    "a size that is too small": (
        lambda p, d: [header(p, digest(d), MIB), *chunks(d)],
        "DIGEST_MISMATCH",
        "header.digest",
    ),
    "a wrong digest in a pack": (
        lambda p, d: [
            pb.UploadBlobsRequest(
                pack=pb.BlobPack(
                    parent=p,
                    blobs=[
                        pb.PackedBlob(digest=digest(d[:9]), data=d[:9]),
                        pb.PackedBlob(digest=OTHER, data=d[:8]),
                    ],
                )
            )
        ],
        "DIGEST_MISMATCH",
        "pack.blobs[1].digest",
    ),
    "a size below zero": (
        lambda p, d: [header(p, digest(d), -1)],
        "FIELD_INVALID",
        "header.size",
    ),
    # The wire's int64 has no 2^63: it wraps around to the lowest number.
    "a size of 2^63": (
        lambda p, d: [header(p, digest(d), -(2**63))],
        "FIELD_INVALID",
        "header.size",
    ),
    "a size of 2^63 - 1": (
        lambda p, d: [header(p, digest(d), 2**63 - 1)],
        "FIELD_INVALID",
        "header.size",
    ),
    "a size above the limit": (
        lambda p, d: [header(p, digest(d), MAX_BLOB_SIZE + 1)],
        "FIELD_INVALID",
        "header.size",
    ),
    "an offset below zero": (
        lambda p, d: [header(p, digest(d), len(d), -1)],
        "FIELD_INVALID",
        "header.offset",
    ),
    "an offset where nothing is": (
        lambda p, d: [header(p, digest(d), len(d), MIB), chunk(d[MIB:])],
        "UPLOAD_OFFSET_MISMATCH",
        "header.offset",
    ),
    "an offset behind the end": (
        lambda p, d: [header(p, digest(d), len(d), len(d) + 1)],
        "UPLOAD_OFFSET_MISMATCH",
        "header.offset",
    ),
    "no digest": (
        lambda p, d: [header(p, "", len(d))],
        "FIELD_REQUIRED",
        "header.digest",
    ),
    "a digest in capitals": (
        lambda p, d: [header(p, digest(d).upper(), len(d))],
        "DIGEST_INVALID",
        "header.digest",
    ),
    "a digest of another kind": (
        lambda p, d: [header(p, "md5:" + "0" * 64, len(d))],
        "DIGEST_INVALID",
        "header.digest",
    ),
    "no parent": (lambda p, d: [header("", digest(d), 1)], "FIELD_REQUIRED", "header.parent"),
    "a version for a parent": (
        lambda p, d: [header(f"{p}/assets/a/versions/1", digest(d), 1)],
        "NAME_INVALID",
        "header.parent",
    ),
    "a pack of nothing": (lambda p, d: [pack(p)], "FIELD_REQUIRED", "pack.blobs"),
    "too large a pack": (
        lambda p, d: [pack(p, d[:MIB], d[: MIB // 2])],
        "CHUNK_TOO_LARGE",
        "pack.blobs",
    ),
    "too many in a pack": (
        lambda p, d: [pack(p, *(b"%d" % number for number in range(1001)))],
        "TOO_MANY_ITEMS",
        "pack.blobs",
    ),
}


@pytest.mark.parametrize("what", LEAVE_NOTHING)
def test_a_wrong_upload_is_refused_and_leaves_nothing(
    registry: Registry, shared: RunningServer, what: str
) -> None:
    messages, reason, field = LEAVE_NOTHING[what]
    data = _data()

    with nothing_left(shared), refused("INVALID_ARGUMENT", reason, field):
        registry.upload(messages(registry.name, data))

    assert set(registry.missing(digest(data), digest(data[:9]), OTHER).values()) == {0}


def test_a_wrong_digest_is_told_with_the_right_one(registry: Registry) -> None:
    data = _data()

    with refused("INVALID_ARGUMENT", "DIGEST_MISMATCH") as refusal:
        registry.upload([header(registry.name, OTHER, len(data)), *chunks(data)])

    assert refusal.metadata == {"expected": OTHER, "actual": digest(data)}


# What was right before a message that was not stays, to be gone on with.

LEAVE_A_PART: dict[str, tuple[Messages, str, str, int]] = {
    "a chunk beyond the size": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:MIB]), chunk(d[:MIB])],
        "UPLOAD_TOO_LONG",
        "chunk",
        MIB,
    ),
    "a chunk that is too large": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:9]), chunk(d[: MIB + 1])],
        "CHUNK_TOO_LARGE",
        "chunk",
        9,
    ),
    "a size that is too large": (
        lambda p, d: [header(p, digest(d), len(d) + 1), *chunks(d)],
        "UPLOAD_TOO_SHORT",
        "",
        3 * MIB // 2,
    ),
    "an end in the middle": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:MIB])],
        "UPLOAD_TOO_SHORT",
        "",
        MIB,
    ),
    "a header before the blob is whole": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:5]), header(p, OTHER, 1)],
        "UPLOAD_OUT_OF_ORDER",
        "header",
        5,
    ),
    "the same header again": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:5]), header(p, digest(d), len(d), 5)],
        "UPLOAD_OUT_OF_ORDER",
        "header",
        5,
    ),
    "a pack before the blob is whole": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:5]), pack(p, b"small")],
        "UPLOAD_OUT_OF_ORDER",
        "pack",
        5,
    ),
    "a message with nothing in it": (
        lambda p, d: [header(p, digest(d), len(d)), chunk(d[:5]), pb.UploadBlobsRequest()],
        "UPLOAD_OUT_OF_ORDER",
        "content",
        5,
    ),
}


@pytest.mark.parametrize("what", LEAVE_A_PART)
def test_a_wrong_message_leaves_the_part_before_it(
    registry: Registry, shared: RunningServer, what: str
) -> None:
    messages, reason, field, durable = LEAVE_A_PART[what]
    data = _data()

    with refused("INVALID_ARGUMENT", reason, *([field] if field else [])) as refusal:
        registry.upload(messages(registry.name, data))

    assert registry.missing(digest(data)) == {digest(data): durable}
    if reason == "UPLOAD_TOO_SHORT":
        assert refusal.metadata["durable_size"] == str(durable)
    registry.upload([header(registry.name, digest(data), len(data)), *chunks(data)])
    assert registry.missing(digest(data)) == {}


@pytest.mark.parametrize(
    ("what", "offset"), [("a gap", MIB + 1), ("an overlap", MIB - 1), ("a repeat", 9)]
)
def test_a_part_is_gone_on_with_where_it_ends_and_nowhere_else(
    registry: Registry, shared: RunningServer, what: str, offset: int
) -> None:
    data = _data()
    with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
        registry.upload([header(registry.name, digest(data), len(data)), chunk(data[:MIB])])

    with (
        nothing_left(shared),
        refused("INVALID_ARGUMENT", "UPLOAD_OFFSET_MISMATCH", "header.offset") as refusal,
    ):
        registry.upload(
            [header(registry.name, digest(data), len(data), offset), chunk(data[offset:][:MIB])]
        )

    assert refusal.metadata == {
        "digest": digest(data),
        "offset": str(offset),
        "durable_size": str(MIB),
    }
    registry.upload([header(registry.name, digest(data), len(data), MIB), chunk(data[MIB:])])
    assert registry.missing(digest(data)) == {}


def test_a_repeated_chunk_is_found_out_by_the_digest(
    registry: Registry, shared: RunningServer
) -> None:
    data = b"a" * 9 + b"b" * 9 + _data(16)

    with nothing_left(shared), refused("INVALID_ARGUMENT", "DIGEST_MISMATCH"):
        registry.upload(
            [
                header(registry.name, digest(data), len(data)),
                chunk(data[:9]),
                chunk(data[:9]),
                chunk(data[18:]),
            ]
        )


def test_a_part_does_not_change_its_size(registry: Registry, shared: RunningServer) -> None:
    data = _data()
    with refused("INVALID_ARGUMENT", "UPLOAD_TOO_SHORT"):
        registry.upload([header(registry.name, digest(data), len(data) + 5), chunk(data[:MIB])])

    with (
        nothing_left(shared),
        refused("INVALID_ARGUMENT", "UPLOAD_SIZE_MISMATCH", "header.size") as refusal,
    ):
        registry.upload([header(registry.name, digest(data), len(data), MIB), chunk(data[MIB:])])

    assert refusal.metadata == {
        "digest": digest(data),
        "size": str(len(data)),
        "actual": str(len(data) + 5),
    }
    registry.upload([header(registry.name, digest(data), len(data)), *chunks(data)])
    assert registry.missing(digest(data)) == {}


def test_a_message_over_the_limit_is_refused(
    shared_channel: grpc.Channel, registry: Registry, shared: RunningServer
) -> None:
    call: Any = shared_channel.unary_unary("/modelkeep.v1.AssetService/CreateAsset")

    with nothing_left(shared), pytest.raises(grpc.RpcError) as unary:
        call(bytes(2 * MIB + 1))
    with pytest.raises(grpc.RpcError) as upload:
        registry.upload([header(registry.name, OTHER, 4 * MIB), chunk(bytes(3 * MIB))])
    assert registry.missing(OTHER) == {OTHER: 0}

    for caught in (unary, upload):
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("digests", "reason", "field"),
    [
        ([], "FIELD_REQUIRED", "digests"),
        (["sha256:abc"], "DIGEST_INVALID", "digests[0]"),
        ([OTHER, ""], "DIGEST_INVALID", "digests[1]"),
        ([OTHER] * 10_001, "TOO_MANY_ITEMS", "digests"),
    ],
)
def test_wrong_digests_are_not_looked_for(
    registry: Registry, digests: list[str], reason: str, field: str
) -> None:
    with refused("INVALID_ARGUMENT", reason, field):
        registry.missing(*digests)
