"""The machine's clock."""

import time


def now_us() -> int:
    """Tell the machine's time, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000
