"""What a check of a data folder finds."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Orphan:
    """Bytes that nothing refers to: harmless.

    Attributes:
        what: `blob`, or `staged` where they were never published.
        path: Where they are in the data folder.
        size: How many bytes.
    """

    what: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as modelkeep left it.

    Attributes:
        what: The kind of thing: `blob`, `version`, `event`, `stranger`…
        resource: Which one: a resource name, a digest, a path in the data folder.
        text: What is wrong with it, in one line.
    """

    what: str
    resource: str
    text: str


Finding: TypeAlias = Orphan | Damage


class CantTellError(Exception):
    """A folder can't be checked; the text is one line that says why and what to do."""


class InUseError(CantTellError):
    """A server is running on the folder."""


class OlderError(CantTellError):
    """The database's schema is older than this modelkeep's."""


class UnreadableError(Exception):
    """The database can't be read any further; the text says why."""
