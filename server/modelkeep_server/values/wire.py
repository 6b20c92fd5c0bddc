"""Protobuf's wire format, as far as we write it by hand to save copies."""

from functools import lru_cache


def bytes_field(number: int, value: bytes) -> bytes:
    """Serialize one length-delimited field."""
    return bytes_head(number, len(value)) + value


@lru_cache(1024)  # the entries of a list are much of a size
def bytes_head(number: int, length: int) -> bytes:
    """Serialize what comes before the bytes of a length-delimited field."""
    return varint(number << 3 | 2) + varint(length)


def number_field(number: int, value: int) -> bytes:
    """Serialize one field of a number that is not negative; nothing for 0."""
    return varint(number << 3) + varint(value) if value else b""


def varint(value: int) -> bytes:
    """Serialize a number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
