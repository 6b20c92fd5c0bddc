"""What a service method tells the edge about how to run it."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

Quick: TypeAlias = Callable[[Any], bool]
Method = TypeVar("Method", bound=Callable[..., object])

_QUICK = "_modelkeep_quick"


def on_loop(quick: Quick) -> Callable[[Method], Method]:
    """Run a read on the event loop, for requests so quick that a hop to a thread costs more."""

    def mark(method: Method) -> Method:
        setattr(method, _QUICK, quick)
        return method

    return mark


def quick_test(method: Callable[..., object]) -> Quick | None:
    """Answer the test that `on_loop` put on a method."""
    quick: Quick | None = getattr(method, _QUICK, None)
    return quick
