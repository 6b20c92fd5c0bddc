"""Stored bytes: the only place that knows how messages lie in rows.

A version's message is stored in two parts that set disjoint fields: `base`, which seldom
changes, and `tail`, which does often. Protobuf merges what is concatenated, so `base + tail`
is the message, and goes to the wire as it is.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from modelkeep.errors import DataLossError
from modelkeep.v1 import (
    admin_service_pb2,
    alias_pb2,
    asset_pb2,
    evaluation_pb2,
    event_pb2,
    namespace_pb2,
    version_pb2,
)
from modelkeep_server.values.wire import bytes_field

M = TypeVar("M", bound=Message)

ENCODING_VERSION = 1

BASE_FIELDS = frozenset(
    {"name", "number", "record", "record_digest", "display_name", "description", "labels"}
)
TAIL_FIELDS = frozenset(
    {"stage", "aliases", "update_time", "delete_time", "purge_time", "purged", "etag"}
)
_BODY_FIELDS = TAIL_FIELDS - {"aliases"}
# What is on the log, by the name of its message.
LOGGED: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        admin_service_pb2.CollectGarbageRequest,
        alias_pb2.Alias,
        asset_pb2.Asset,
        evaluation_pb2.Evaluation,
        event_pb2.LogOrigin,
        namespace_pb2.Namespace,
        version_pb2.Version,
    )
}


def message_bytes(message: Message) -> bytes:
    """Serialize a message, the same way each time."""
    return message.SerializeToString(deterministic=True)


def read_stored(kind: type[M], body: bytes) -> M:
    """Read a message that was stored. Raises `DataLossError` `RECORD_DAMAGED` where it is none."""
    try:
        return kind.FromString(body)
    except (DecodeError, ValueError, RecursionError) as error:
        name = kind.DESCRIPTOR.full_name
        raise DataLossError(
            "RECORD_DAMAGED",
            f"a stored {name} can't be read; the server's operator should stop it and run "
            "modelkeep admin verify",
            type=name,
        ) from error


def version_base(version: version_pb2.Version) -> bytes:
    """Serialize what seldom changes of a version."""
    return message_bytes(_only(version, BASE_FIELDS))


def version_tail(version: version_pb2.Version) -> bytes:
    """Serialize what often changes of a version."""
    return message_bytes(_only(version, TAIL_FIELDS))


def version_body(version: version_pb2.Version) -> bytes:
    """Serialize a version for the log: without its aliases, which have entries of their own."""
    return version_base(version) + message_bytes(_only(version, _BODY_FIELDS))


def asset_answer(message: bytes, latest_number: int, version_count: int, size: int) -> bytes:
    """Add the counters, which are in no revision, to a stored asset."""
    counters = asset_pb2.Asset(latest_number=latest_number, version_count=version_count, size=size)
    return message + counters.SerializeToString()


def _only(version: version_pb2.Version, names: frozenset[str]) -> version_pb2.Version:
    part = version_pb2.Version()
    part.CopyFrom(version)
    for name in _others(names):
        part.ClearField(name)  # type: ignore[arg-type]  # the stubs want literals
    return part


@cache
def _others(names: frozenset[str]) -> tuple[str, ...]:
    fields = version_pb2.Version.DESCRIPTOR.fields
    return tuple(field.name for field in fields if field.name not in names)


def page(field: int, items: Iterable[bytes], token_field: int, token: str) -> bytes:
    """Serialize the answer of a list: a repeated message field and the next page's token."""
    parts = [bytes_field(field, item) for item in items]
    if token:
        parts.append(bytes_field(token_field, token.encode()))
    return b"".join(parts)


def timestamp(time_us: int) -> Timestamp:
    """Make a protobuf time of microseconds since 1970 UTC."""
    seconds, rest = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def microseconds(time: Timestamp) -> int:
    """Make microseconds since 1970 UTC of a protobuf time; what is finer is cut off."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


def deletion(message: asset_pb2.Asset | version_pb2.Version) -> tuple[int | None, int | None]:
    """Tell when something was deleted, and until when that can be taken back, if it was."""
    if not message.HasField("delete_time"):
        return None, None
    return microseconds(message.delete_time), microseconds(message.purge_time)


def digest_bytes(digest: str) -> bytes:
    """Make the 32 bytes of a `sha256:` digest."""
    return bytes.fromhex(digest.removeprefix("sha256:"))


def digest_text(digest: bytes) -> str:
    """Write a digest's 32 bytes as `sha256:` and hex."""
    return f"sha256:{digest.hex()}"


def event_leaf(record: event_pb2.EventRecord, position: int, log_us: int) -> bytes:
    """Serialize an event as the log's leaf. These bytes are stored, and never made again."""
    leaf = event_pb2.LogLeaf(
        event=message_bytes(record), position=position, log_time=timestamp(log_us)
    )
    return message_bytes(leaf)


def commitment(salt: bytes, body: bytes) -> bytes:
    """Bind a body without showing it: sha256 of the salt and then the body."""
    return hashlib.sha256(salt + body).digest()


def fingerprint(type_name: str, body: bytes) -> bytes:
    """Tell what a body says, however it is serialized. Raises `DataLossError` and `KeyError`."""
    return hashlib.sha256(message_bytes(read_stored(LOGGED[type_name], body))).digest()
