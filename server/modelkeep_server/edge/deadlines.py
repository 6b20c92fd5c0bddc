"""How long a call may take. A caller's own deadline, where it is shorter, is grpc's to keep."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from modelkeep.errors import DeadlineExceededError


@asynccontextmanager
async def moving(seconds: float) -> AsyncIterator[None]:
    """Refuse to wait longer than this for a stream's client."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise idle(seconds) from None


def too_long(seconds: float) -> DeadlineExceededError:
    """Say that a call took longer than one of its kind may."""
    return DeadlineExceededError(
        "CALL_TOO_LONG",
        f"the call took longer than the {seconds:g} s that one of its kind may take",
        seconds=f"{seconds:g}",
    )


def idle(seconds: float) -> DeadlineExceededError:
    """Say that a stream stood still for too long because of its client."""
    return DeadlineExceededError(
        "IDLE_TIMEOUT",
        f"the stream stood still for {seconds:g} s, waiting for its client",
        seconds=f"{seconds:g}",
    )
