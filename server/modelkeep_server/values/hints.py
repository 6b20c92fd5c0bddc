"""What a service method tells the edge about how to run it."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias, TypeVar

IsShort: TypeAlias = Callable[[Any], bool]
T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., object])

_SHORT = "_modelkeep_short"


class ReadTogether(Protocol):
    """Runs a short read together with others, and answers at once what will hold its answer."""

    def __call__(self, work: Callable[[], T]) -> Future[T]:
        """Run `work`; its error is `NotShortError` where it has to be run in a thread."""


class NotShortError(Exception):
    """A read that was taken for short is not."""


def short_read(is_short: IsShort) -> Callable[[Method], Method]:
    """Mark a read that is so short, for such requests, that a hop to a thread costs more."""

    def mark(method: Method) -> Method:
        setattr(method, _SHORT, is_short)
        return method

    return mark


def short_test(method: Callable[..., object]) -> IsShort | None:
    """Answer the test that `short_read` put on a method."""
    is_short: IsShort | None = getattr(method, _SHORT, None)
    return is_short
