"""What copying a registry tells of itself."""

from dataclasses import dataclass


class MoveError(Exception):
    """A registry can't be copied; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How far the copying of blobs is.

    Attributes:
        total: How many blobs there are.
        total_bytes: And how large they are together.
        sent: How many were copied.
        sent_bytes: And how large those are.
        there: How many were there before, and so were not copied.
        there_bytes: And how large those are.
    """

    total: int = 0
    total_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    there: int = 0
    there_bytes: int = 0
