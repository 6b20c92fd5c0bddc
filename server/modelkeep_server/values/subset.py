"""A share of a check that takes long: one of several, which together are the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

MOST = 256
"""A share has at least one of the shards that blobs are in."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subset:
    """One of so many shares; the same things are in it each time.

    >>> [Subset(number, 3).take("abcdefgh") for number in (1, 2, 3)]
    ['adg', 'beh', 'cf']
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Subset":
        """Read `n/t`; the `ValueError` says what is wrong.

        >>> Subset.parse("2/7")
        Subset(number=2, of=7)
        >>> Subset.parse("8/7")
        Traceback (most recent call last):
        ValueError: must be N/T with 1 <= N <= T <= 256
        """
        number, mark, of = text.partition("/")
        if mark and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= MOST:
            return cls(int(number), int(of))
        raise ValueError(f"must be N/T with 1 <= N <= T <= {MOST}")

    def has(self, name: str) -> bool:
        """Tell whether what has this name is in it."""
        return crc32(name.encode()) % self.of == self.number - 1

    def take(self, shards: Sequence[T]) -> Sequence[T]:
        """Take every so many-th."""
        return shards[self.number - 1 :: self.of]


WHOLE = Subset()
"""The one share of all."""
