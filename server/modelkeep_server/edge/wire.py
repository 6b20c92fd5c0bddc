"""Bytes to messages and back.

grpc gets no deserialiser, because what one raises it shows to the caller as `INTERNAL` or
`UNKNOWN`; handlers get the bytes and read them here. It gets no serialiser either, so that stored
bytes go out as they are.
"""

from google.protobuf.message import DecodeError, Message

from modelkeep.errors import InvalidArgumentError
from modelkeep_server.values.call import Answer

EVENT_ID_KEY = "modelkeep-event-id"

Sendable = bytes | Message | Answer


def read(kind: type[Message], raw: bytes) -> Message:
    """Read a request, or refuse it."""
    try:
        return kind.FromString(raw)
    except (DecodeError, ValueError, RecursionError):
        raise InvalidArgumentError(
            "REQUEST_MALFORMED", f"the message can't be read as {kind.DESCRIPTOR.full_name}"
        ) from None


def body(answer: Sendable) -> bytes:
    """Give the bytes of an answer."""
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, Answer):
        return answer.body
    return answer.SerializeToString()
