"""Hostile calls of every rpc, each a pure function of a seed and its number.

Ways take turns, and each goes in turn through all methods, or through all fields of its kind, so
that a volley that is long enough leaves none out.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tests.hostile import protobuf
from tests.hostile.protobuf import Place
from tests.hostile.world import USERS, World

from modelkeep.v1 import (
    access_service_pb2,
    admin_service_pb2,
    artifact_service_pb2,
    asset_service_pb2,
    event_service_pb2,
    namespace_service_pb2,
    operation_service_pb2,
    version_service_pb2,
)

_FILES: tuple[Any, ...] = (
    access_service_pb2,
    admin_service_pb2,
    artifact_service_pb2,
    asset_service_pb2,
    event_service_pb2,
    namespace_service_pb2,
    operation_service_pb2,
    version_service_pb2,
    health_pb2,
    reflection_pb2,
)
SERVICES: list[ServiceDescriptor] = [
    service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """A call to be made.

    Attributes:
        messages: What is sent, in this order.
        answers_wanted: After so many answers of a stream it is cancelled.
        cancel_after: After so many messages, or so many seconds, it is cancelled by the caller.
    """

    number: int
    way: str
    method: MethodDescriptor
    messages: list[bytes]
    user: str = "ann"
    metadata: Metadata = ()
    answers_wanted: int = 8
    deadline_seconds: float = 20
    cancel_after_messages: int | None = None
    cancel_after_seconds: float | None = None

    @property
    def is_broken_off(self) -> bool:
        """Whether the caller may never learn what came of it."""
        return (
            self.deadline_seconds < 1
            or self.cancel_after_messages is not None
            or self.cancel_after_seconds is not None
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a way may use: its randomness, the world, and how often it had its turn."""

    rng: random.Random
    world: World
    count: int

    @property
    def method(self) -> MethodDescriptor:
        return METHODS[self.count % len(METHODS)]

    def right(self) -> list[bytes]:
        return [raw.SerializeToString() for raw in self.world.request(self.rng, self.method)]

    def spoiled(self, spoil: Callable[[bytes], bytes]) -> "_Made":
        """Take a right request, or a stream of them, and spoil one message."""
        messages = self.right()
        at = self.rng.randrange(len(messages))
        messages[at] = spoil(messages[at])
        return _Made(self.method, messages)

    def with_field(self, kind: str, payloads: Callable[[Place], list[bytes]]) -> "_Made":
        """Set the next field of a kind to something in an otherwise right request."""
        method, place = FIELDS[kind][self.count % len(FIELDS[kind])]
        messages = [raw.SerializeToString() for raw in self.world.request(self.rng, method)]
        messages[0] += place.holding(self.rng.choice(payloads(place)))
        return _Made(method, messages)


@dataclass(frozen=True, slots=True)
class _Made:
    method: MethodDescriptor
    messages: list[bytes]
    more: dict[str, Any] = field(default_factory=dict)


def shot(seed: int, number: int, world: World) -> Shot:
    """Make one call."""
    rng = random.Random(f"{seed}/{number}")
    name, way = list(WAYS.items())[number % len(WAYS)]
    made = way(_Turn(rng, world, number // len(WAYS)))
    more: dict[str, Any] = {"user": rng.choice(USERS), **made.more}
    return Shot(number, name, made.method, made.messages, **more)


def _places(*types: int) -> list[tuple[MethodDescriptor, Place]]:
    return [
        (method, place)
        for method in METHODS
        for place in protobuf.places(method.input_type)
        if place.field.type in types
    ]


FIELDS = {
    "text": _places(FieldDescriptor.TYPE_STRING),
    "enum": _places(FieldDescriptor.TYPE_ENUM),
    "message": _places(FieldDescriptor.TYPE_MESSAGE),
    "number": _places(
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_FLOAT,
        FieldDescriptor.TYPE_BOOL,
    ),
    "any": [(m, place) for m in METHODS for place in protobuf.places(m.input_type)],
}


def _sized(data: bytes) -> bytes:
    return protobuf.varint(len(data)) + data


def _right(turn: _Turn) -> _Made:
    return _Made(turn.method, turn.right())


def _garbage(turn: _Turn) -> _Made:
    size = turn.rng.choice((1, 2, 10, 100, 1_000, 30_000))
    return turn.spoiled(lambda _: turn.rng.randbytes(size))


def _truncated(turn: _Turn) -> _Made:
    return turn.spoiled(lambda raw: raw[: turn.rng.randrange(len(raw) + 1)])


def _flipped(turn: _Turn) -> _Made:
    def spoil(raw: bytes) -> bytes:
        changed = bytearray(raw or b"\0")
        for _ in range(turn.rng.choice((1, 1, 3))):
            one, other = (turn.rng.randrange(len(changed)) for _ in range(2))
            changed[one], changed[other] = changed[other], changed[one]
            changed[one] ^= 1 << turn.rng.randrange(8)
        return bytes(changed)

    return turn.spoiled(spoil)


def _spliced(turn: _Turn) -> _Made:
    """A part that is cut out, doubled, or put where it does not belong."""

    def spoil(raw: bytes) -> bytes:
        start, end = sorted(turn.rng.randrange(len(raw) + 1) for _ in range(2))
        part, rest = raw[start:end], raw[:start] + raw[end:]
        at = turn.rng.randrange(len(rest) + 1)
        return turn.rng.choice((rest, raw + part, rest[:at] + part + rest[at:]))

    return turn.spoiled(spoil)


def _broken_wire(turn: _Turn) -> _Made:
    number = turn.rng.choice((1, 2, 3, 7, 1000, protobuf.LAST_FIELD_NUMBER))
    broken = protobuf.broken_field(turn.rng, number)
    return turn.spoiled(lambda raw: turn.rng.choice((raw + broken, broken + raw)))


def _wrong_wire_type(turn: _Turn) -> _Made:
    method, place = FIELDS["any"][turn.count % len(FIELDS["any"])]
    wire = turn.rng.choice((protobuf.VARINT, protobuf.FIXED64, protobuf.BYTES, protobuf.FIXED32))
    raw = protobuf.tag(place.field.number, wire) + protobuf.value(turn.rng, wire)
    messages = [one.SerializeToString() for one in turn.world.request(turn.rng, method)]
    return _Made(method, [messages[0] + place.wrapped(raw), *messages[1:]])


def _repeated(turn: _Turn) -> _Made:
    """Singular fields that come twice, a message in one that comes again."""
    other = turn.world.request(turn.rng, turn.method)[0].SerializeToString()
    return turn.spoiled(lambda raw: (raw + other) * turn.rng.choice((1, 2, 20)))


def _dropped(turn: _Turn) -> _Made:
    messages: list[Message] = turn.world.request(turn.rng, turn.method)
    set_fields = [one for one, _ in messages[0].ListFields()]
    if set_fields:
        messages[0].ClearField(turn.rng.choice(set_fields).name)
    return _Made(turn.method, [one.SerializeToString() for one in messages])


def _unknown_fields(turn: _Turn) -> _Made:
    wires = (protobuf.VARINT, protobuf.FIXED64, protobuf.BYTES, protobuf.FIXED32)
    count = turn.rng.choice((1, 5, 100, 3_000))
    numbers = (20, 1_000, 19_000, protobuf.LAST_FIELD_NUMBER)
    more = [
        protobuf.tag(turn.rng.choice(numbers), wire) + protobuf.value(turn.rng, wire)
        for wire in turn.rng.choices(wires, k=count)
    ]
    return turn.spoiled(lambda raw: raw + b"".join(more))


def _huge_count(turn: _Turn) -> _Made:
    method, place = FIELDS["any"][turn.count % len(FIELDS["any"])]
    raw = place.wrapped(protobuf.tag(place.field.number, protobuf.BYTES) + b"\0")
    count = turn.rng.choice((10, 2_000, 2_000, 2_000, 60_000))
    messages = [one.SerializeToString() for one in turn.world.request(turn.rng, method)]
    return _Made(method, [messages[0] + raw * count, *messages[1:]])


def _deep(turn: _Turn) -> _Made:
    number = turn.rng.choice((1, 2, 5, 1_000))
    deep = turn.rng.choice(
        (
            lambda: protobuf.nested(number),
            lambda: protobuf.groups(number),
            lambda: protobuf.groups(number, ended=False),
            lambda: protobuf.nested(number, turn.rng.randrange(90, 110)),
            lambda: protobuf.groups(number, turn.rng.randrange(90, 110)),
        )
    )()
    method, place = FIELDS["message"][turn.count % len(FIELDS["message"])]
    messages = [one.SerializeToString() for one in turn.world.request(turn.rng, method)]
    messages[0] += turn.rng.choice((deep, place.holding(_sized(deep)), _deep_struct(place)))
    return _Made(method, messages)


def _deep_struct(place: Place) -> bytes:
    """A list in a list in a list, where the request holds JSON."""
    inner = b""
    for _ in range(120):
        inner = protobuf.field_bytes(6, protobuf.field_bytes(1, inner))
    return place.holding(_sized(protobuf.field_bytes(1, protobuf.field_bytes(2, inner))))


def _not_utf8(turn: _Turn) -> _Made:
    return turn.with_field("text", lambda _: [_sized(bad) for bad in protobuf.NOT_UTF8])


def _odd_text(turn: _Turn) -> _Made:
    return turn.with_field("text", lambda _: [_sized(odd.encode()) for odd in protobuf.ODD_TEXTS])


def _extreme_number(turn: _Turn) -> _Made:
    return turn.with_field(
        "number", lambda place: protobuf.EXTREME_NUMBERS[protobuf.wire_type(place.field)]
    )


def _unknown_enum(turn: _Turn) -> _Made:
    return turn.with_field("enum", lambda _: protobuf.UNKNOWN_ENUM_NUMBERS)


def _odd_metadata(turn: _Turn) -> _Made:
    odd: list[Metadata] = [
        (("x", "a" * 9_000),),
        tuple((f"x-{n}", "y") for n in range(turn.rng.choice((50, 300)))),
        (("x-bin", turn.rng.randbytes(500)),),
        (("modelkeep-user", "eve"),),
        (("modelkeep-user-bin", b"\xff\0"),),
        (("grpc-status", "0"),),
        (("modelkeep-event-id", "forged"), ("grpc-status-details-bin", b"\x08\x05")),
        (("a.b_c-0", "~!@#$%^&*()"),),
        (("authorization", "Bearer x"),),
        (("user-agent", "x" * 300), ("x-forwarded-for", "::1")),
    ]
    users = ("", "ann", "a" * 129, " ", "a b", "~", "a,b", "unverified:ann")
    more = {"metadata": turn.rng.choice(odd), "user": turn.rng.choice(users)}
    return _Made(turn.method, turn.right(), more)


def _wrong_order(turn: _Turn) -> _Made:
    """Streams whose messages come in another order; of others, two where one belongs."""
    messages = turn.right() + turn.right()
    turn.rng.shuffle(messages)
    if not turn.method.client_streaming:
        return _Made(turn.method, messages[:2])
    return _Made(turn.method, messages[: turn.rng.randrange(len(messages) + 1)])


def _named(turn: _Turn) -> list[bytes]:
    """Make a right request that can be asked again: a write's has a `request_id`."""
    messages = turn.world.request(turn.rng, turn.method)
    for message in messages:
        if "request_id" in message.DESCRIPTOR.fields_by_name:
            request_id = uuid.UUID(int=turn.rng.getrandbits(128), version=4)
            message.request_id = str(request_id)  # type: ignore[attr-defined]  # looked for above
    return [message.SerializeToString() for message in messages]


def _cancelled(turn: _Turn) -> _Made:
    messages = _named(turn)
    if turn.method.client_streaming and turn.rng.random() < 0.6:
        return _Made(
            turn.method,
            messages,
            {"cancel_after_messages": turn.rng.randrange(len(messages) + 1)},
        )
    if turn.method.server_streaming and turn.rng.random() < 0.3:
        return _Made(turn.method, messages, {"answers_wanted": 1})
    return _Made(
        turn.method, messages, {"cancel_after_seconds": turn.rng.choice((0, 0, 0.001, 0.004))}
    )


def _no_time(turn: _Turn) -> _Made:
    return _Made(
        turn.method, _named(turn), {"deadline_seconds": turn.rng.choice((0.001, 0.002, 0.004))}
    )


WAYS: dict[str, Callable[[_Turn], _Made]] = {
    "right": _right,
    "garbage": _garbage,
    "truncated": _truncated,
    "flipped": _flipped,
    "spliced": _spliced,
    "broken wire": _broken_wire,
    "wrong wire type": _wrong_wire_type,
    "repeated": _repeated,
    "dropped": _dropped,
    "unknown fields": _unknown_fields,
    "huge count": _huge_count,
    "deep": _deep,
    "not UTF-8": _not_utf8,
    "odd text": _odd_text,
    "extreme number": _extreme_number,
    "unknown enum": _unknown_enum,
    "odd metadata": _odd_metadata,
    "wrong order": _wrong_order,
    "cancelled": _cancelled,
    "no time": _no_time,
}
