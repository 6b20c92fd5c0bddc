"""Protobuf by hand: every way to write a field, the wrong ones too."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 = range(6)
LAST_FIELD_NUMBER = 2**29 - 1
DEEP = 10_000

_WIRE = {
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FLOAT: FIXED32,
    FieldDescriptor.TYPE_STRING: BYTES,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_MESSAGE: BYTES,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A field somewhere in a request: the fields that lead to it, itself the last."""

    fields: tuple[FieldDescriptor, ...]

    @property
    def field(self) -> FieldDescriptor:
        """The field itself."""
        return self.fields[-1]

    def wrapped(self, raw: bytes) -> bytes:
        """Put bytes that stand for the field into the messages around it."""
        for outer in reversed(self.fields[:-1]):
            raw = field_bytes(outer.number, raw)
        return raw

    def holding(self, payload: bytes) -> bytes:
        """Give a request that has this field alone, as its type's wire format has it."""
        return self.wrapped(tag(self.field.number, wire_type(self.field)) + payload)


def places(message: Descriptor, before: tuple[FieldDescriptor, ...] = ()) -> Iterator[Place]:
    """List every field of a request, those of messages in it too; a recursion once."""
    for field in message.fields:
        path = (*before, field)
        yield Place(path)
        inner = field.message_type
        if inner and inner not in (outer.containing_type for outer in path):
            yield from places(inner, path)


def wire_type(field: FieldDescriptor) -> int:
    """Tell how a field goes over the wire."""
    return _WIRE.get(field.type, VARINT)


def varint(number: int, size: int = 0) -> bytes:
    """Write a number; on `size` bytes, though fewer would do."""
    number &= 2**64 - 1
    found = bytearray()
    while number > 0x7F or len(found) + 1 < size:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def tag(number: int, wire: int) -> bytes:
    """Begin a field."""
    return varint(number << 3 | wire)


def field_bytes(number: int, data: bytes) -> bytes:
    """Write a text, bytes or a message."""
    return tag(number, BYTES) + varint(len(data)) + data


def nested(number: int, depth: int = DEEP) -> bytes:
    """Write a message in a message in a message."""
    found: list[bytes] = []
    size = 0
    for _ in range(depth):
        head = tag(number, BYTES) + varint(size)
        found.append(head)
        size += len(head)
    return b"".join(reversed(found))


def groups(number: int, depth: int = DEEP, *, ended: bool = True) -> bytes:
    """Write a group in a group in a group."""
    ends = tag(number, GROUP_END) * depth if ended else b""
    return tag(number, GROUP) * depth + ends


def value(rng: random.Random, wire: int) -> bytes:
    """Write anything that this wire type can hold."""
    if wire == VARINT:
        return varint(rng.getrandbits(rng.choice((1, 7, 31, 64))))
    if wire == FIXED64:
        return rng.randbytes(8)
    if wire == FIXED32:
        return rng.randbytes(4)
    data = rng.randbytes(rng.choice((0, 1, 9, 200)))
    return varint(len(data)) + data


def broken_field(rng: random.Random, number: int) -> bytes:
    """Write a field that breaks protobuf's own rules."""
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: tag(number, BYTES) + varint(rng.choice((100, 2**31 - 1, 2**31, 2**63, 2**64 - 1))),
        lambda: tag(number, BYTES) + varint(3, 10) + b"abc",
        lambda: tag(number, VARINT) + b"\xff" * rng.choice((9, 10, 11, 30)),
        lambda: tag(number, VARINT) + b"\xff" * 9 + b"\x7f",
        lambda: tag(number, VARINT) + b"\x80" * 9 + b"\x01",
        lambda: tag(number, FIXED64) + rng.randbytes(7),
        lambda: tag(number, FIXED32) + rng.randbytes(3),
        lambda: tag(number, GROUP) + value(rng, VARINT),
        lambda: tag(number, GROUP_END),
        lambda: tag(number, GROUP) + tag(number + 1, GROUP_END),
        lambda: tag(number, rng.choice((6, 7))) + rng.randbytes(4),
        lambda: varint(rng.choice((0, 1, 2, 5))) + b"\0",
        lambda: varint(number << 3 | VARINT, 10) + b"\x01",
        lambda: varint(2**35 | VARINT) + b"\x01",
    )
    return rng.choice(ways)()


EXTREME_NUMBERS = {
    VARINT: [varint(n) for n in (0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63))],
    FIXED64: [
        struct.pack("<d", number)
        for number in (0.0, -0.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
    ]
    + [b"\x01\0\0\0\0\0\xf0\x7f", b"\xff" * 8],
    FIXED32: [b"\0\0\x80\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"],
}

UNKNOWN_ENUM_NUMBERS = [varint(n) for n in (-1, 99, 127, 128, 2**31 - 1, 2**31, -(2**31), 2**63)]

NOT_UTF8 = (
    b"\xff",
    b"a\x80",
    b"\xc0\x80",
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"\xed\xa0\xbd\xed\xb8\x80",  # both halves
    b"\xf4\x90\x80\x80",
    b"\xf0\x9f\x98",
    b"namespaces/default\xfe",
    b"a" * 299 + b"\xc3",
)

ODD_TEXTS = (
    "",
    "\0",
    "a\0b",
    "\x1b[2J",
    "\n",
    "\r\nx: y",
    "\x7f",
    "\x85",
    "\u202eabc",
    "\u2066",
    "\u200f",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    "\U0001f600" * 20,
    "a" * 300,
    "é" * 300,
    "e\u0301",
    " ",
    "../..",
    "/",
    "//",
    "%00%2e",
    "namespaces/",
    "namespaces/default/assets/../versions/1",
    "namespaces/-",
    "'; DROP TABLE version; --",
    "%s%n{0}${x}",
    "9" * 50,
    "-1",
    "١",
    "sha256:" + "g" * 64,
    "sha256:" + "٠" * 64,
    "sha256:" + "0" * 63,
    "00000000-0000-0000-0000-000000000000",
    "*",
    "a" * 70_000,
)
