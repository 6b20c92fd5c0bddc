"""Who asks for what: what every use case is told about the call that it serves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as the edge understood it.

    Attributes:
        principal: Who asks, `principals/{principal}`: opaque.
        principal_name: What people call them; kept in a table of its own, never in the log.
        method: The rpc's full name, `modelkeep.v1.VersionService/CreateVersion`.
        request_id: A UUID by which a repeat is known, or empty.
        request_hash: sha256 of the request, serialized deterministically; empty without a
            `request_id`.
        time_us: When the server was asked, in microseconds since 1970 UTC.
    """

    principal: str
    principal_name: str
    method: str
    request_id: str
    request_hash: bytes
    time_us: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write answers, once it is committed.

    Attributes:
        body: The response message, serialized.
        event_id: The event that the write made; empty where nothing was changed.
    """

    body: bytes
    event_id: str = ""


SYSTEM = Call("principals/system", "system", "", "", b"", 0)
"""What the server does by itself."""
