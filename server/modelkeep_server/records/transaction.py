"""One write: its session, its time, and what it changed."""

from dataclasses import dataclass, field

from google.protobuf.message import Message

from modelkeep_server.records.sql import Session
from modelkeep_server.values.call import Call


@dataclass(frozen=True, slots=True)
class Change:
    """What one write did to one resource.

    Attributes:
        resource: Its name.
        revision: How many times it has changed by now, its creation counted.
        type_name: The full name of its message.
        before: The message before, serialized; nothing where there was none.
        after: The message after, serialized; nothing where there is none.
    """

    resource: str
    revision: int
    type_name: str
    before: bytes | None
    after: bytes | None


@dataclass(slots=True)
class Transaction:
    """What `records.change` hands to its work. Every write of a resource notes its change.

    `act` is what the event will say was done; work that turns out to be something else says so.
    """

    session: Session
    call: Call
    act: str
    position: int
    time_us: int
    _changes: dict[str, Change] = field(default_factory=dict)

    def note(
        self,
        resource: str,
        revision: int,
        kind: type[Message],
        before: bytes | None,
        after: bytes | None,
    ) -> None:
        """Put a change on the log; a second one of the same resource joins the first."""
        first = self._changes.get(resource)
        if first is not None:
            before = first.before
        type_name = kind.DESCRIPTOR.full_name
        self._changes[resource] = Change(resource, revision, type_name, before, after)

    @property
    def changes(self) -> list[Change]:
        """What was changed so far, in the order in which it was first touched."""
        return list(self._changes.values())


def etag(revision: int) -> str:
    """Tell the `etag` of a resource's revision."""
    return f"r{revision}"
