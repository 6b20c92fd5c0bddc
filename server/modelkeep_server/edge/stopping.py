"""Why and when the server stops."""

import asyncio
import os
import signal
import threading

FORCE_AFTER_SECONDS = 8.0
"""How long after the drain time a stop may take before it is forced."""


class Stop:
    """A stop that anyone may ask for, once; from any thread."""

    def __init__(self) -> None:
        """Run on."""
        self.reason = ""
        self.exit_code = 0
        self._asked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._force_after: float | None = None
        self._once = False

    def ask(self, reason: str, exit_code: int = 0) -> None:
        """Stop for this reason; only the first is heard."""
        if self._asked.is_set():
            return
        self.reason, self.exit_code = reason, exit_code
        self._asked.set()
        if self._force_after is not None:
            timer = threading.Timer(self._force_after, os._exit, [exit_code])
            timer.daemon = True
            timer.start()
        if self._loop and self._wake:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def wait(self) -> None:
        """Wait until it is asked for."""
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if not self._asked.is_set():
            await self._wake.wait()

    def rule_the_process(self, drain_seconds: float, *, once: bool = False) -> None:
        """Stop at SIGTERM and SIGINT, at the second of them at once. On the event loop.

        A stop that takes much longer than the drain time is forced, whatever hangs: what was
        acknowledged is durable already. `once` is for who may be told twice of one stop: a second
        signal means nothing.
        """
        self._once = once
        self._force_after = drain_seconds + FORCE_AFTER_SECONDS
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal, number)

    def _signal(self, number: int) -> None:
        if self._asked.is_set() and not self._once:
            os._exit(128 + number)
        self.ask(signal.Signals(number).name)
