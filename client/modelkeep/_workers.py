"""The threads of a transfer."""

import itertools
import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, TypeVar

from modelkeep._progress import Meter
from modelkeep.errors import UnavailableError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

STALL_SECONDS = 60.0  # without anything moving, a transfer ends
_LONGEST_WAIT_SECONDS = 10.0
_THREADS = min(8, (os.cpu_count() or 1) + 1)  # for local files: one more than can compute


def backoff(failures: int) -> float:
    """Tell how many seconds to wait after so many failures in a row, each client another time."""
    return random.random() * min(2.0**failures / 4, _LONGEST_WAIT_SECONDS)  # noqa: S311  # no secret


def run_all(
    work: Sequence[Callable[[], _Result]], cancel: Callable[[], None], meter: Meter
) -> list[_Result]:
    """Run functions, each in a thread, as long as bytes move; give their results.

    They have the caller's context. At the first failure, or when the caller is interrupted,
    `cancel` shall make the others end.
    """
    if not work:
        return []
    pool = ThreadPoolExecutor(len(work), "modelkeep-transfer")
    try:
        runs = [pool.submit(copy_context().run, function) for function in work]
        todo = set(runs)
        while todo:
            done, todo = wait(todo, timeout=1.0, return_when="FIRST_COMPLETED")
            for run in done:
                run.result()
            if meter.idle_seconds > STALL_SECONDS:
                raise UnavailableError(
                    "TRANSFER_STALLED", f"nothing moved for {STALL_SECONDS:g} seconds"
                )
        return [run.result() for run in runs]
    except BaseException:
        cancel()
        raise
    finally:
        pool.shutdown()


def in_threads(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Give a function's results, in order; the first failure ends the rest.

    Each thread takes item after item: a future an item would cost more than to hash a small file.
    """
    if not items:
        return []
    results: list[Any] = [None] * len(items)
    numbers = itertools.count()
    failed = threading.Event()

    def work() -> None:
        try:
            while not failed.is_set() and (number := next(numbers)) < len(items):
                results[number] = function(items[number])
        except BaseException:
            failed.set()
            raise

    threads = min(_THREADS, len(items))
    pool = ThreadPoolExecutor(threads, "modelkeep-files")
    try:
        for run in [pool.submit(work) for _ in range(threads)]:
            run.result()
    except BaseException:  # an interrupt too
        failed.set()
        raise
    finally:
        pool.shutdown()
    return results
