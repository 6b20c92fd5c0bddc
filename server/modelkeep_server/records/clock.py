"""What time it is: by this machine's clock, or by one that all who use a database share."""

import time

from peewee import Select, fn

from modelkeep_server.records.sql import Session, Statement

_SECONDS = Statement(lambda: Select([], [fn.date_part("epoch", fn.clock_timestamp())]))


def now_us() -> int:
    """Tell the machine's time, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def common_now_us(session: Session, *, is_shared: bool) -> int:
    """Tell the time of a shared database's machine, or of this one where it is not shared."""
    if not is_shared:
        return now_us()
    row = session.row(_SECONDS)
    assert row is not None
    return int(row[0] * 1_000_000)
