"""How much the server does at once, and how long it waits."""

from dataclasses import dataclass

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Of a message, either way: memory a stream stays bounded."""

MAX_METADATA_BYTES = 8 * 1024
"""Of a request's metadata."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of each kind.

    Attributes:
        unary_calls: Calls of one answer, under way at once.
        uploads: Streams of bytes in, under way at once.
        downloads: Streams of answers, under way at once.
        watches: Streams that wait for what happens, under way at once.
        idle_seconds: How long a stream may stand still because of its client.
        unary_seconds: How long a call of one answer may take.
    """

    unary_calls: int = 256
    uploads: int = 32
    downloads: int = 32
    watches: int = 10_000
    idle_seconds: float = 60
    unary_seconds: float = 60
