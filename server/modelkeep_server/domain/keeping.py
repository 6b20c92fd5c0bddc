"""Bytes stay while somebody copies what names them: collection is held off, again and again."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

from modelkeep.errors import Error
from modelkeep_server.records import holding
from modelkeep_server.records.clock import common_now_us
from modelkeep_server.records.sql import Session

RENEW_SECONDS = 60.0

Write: TypeAlias = Callable[[Callable[[Session], Any]], Any]


@contextmanager
def kept(write: Write, *, is_shared: bool) -> Iterator[None]:
    """Let no bytes be removed until the end of the block.

    `is_shared` tells whether other machines use the database that `write` is of. A process that
    stands still for longer than a hold lasts may lose it. Whoever copies bytes checks them, and
    so finds those that are gone.
    """
    name = secrets.token_hex(16)
    over = threading.Event()

    def hold() -> None:
        write(partial(_hold, name=name, is_shared=is_shared))

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            with suppress(Error):  # a database that can't be reached now
                hold()

    hold()
    thread = threading.Thread(target=renew, name="keeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(Error):  # it ends by itself
            write(partial(holding.release, name=name))


def _hold(session: Session, name: str, *, is_shared: bool) -> None:
    holding.hold(session, name, common_now_us(session, is_shared=is_shared))
