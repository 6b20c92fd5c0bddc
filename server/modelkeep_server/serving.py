"""A process that serves: its log, and its life from the start to the exit code."""

import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from modelkeep_server import app
from modelkeep_server.edge import logs
from modelkeep_server.edge.logs import LineWriter, Logger
from modelkeep_server.settings import Address, Settings

Ready = Callable[[Address, Address | None], None]


@dataclass(frozen=True, slots=True)
class Log:
    """What a process says on standard error, in lines for people or for machines."""

    lines: LineWriter
    logger: Logger
    is_json: bool


def open_log(settings: Settings, dropped: Callable[[], None], **always: object) -> Log:
    """Begin the log, each entry of which has `always` too; libraries log there as well."""
    lines = LineWriter(sys.stderr, dropped)
    style = settings.log_format
    if style == "auto":
        style = "console" if lines.isatty() else "json"
    logger = logs.logger(lines, style, settings.log_level, **always)
    logs.adopt(logger)
    return Log(lines, logger, style == "json")


def serve(server: app.App, log: Log, ready: Ready, *, once: bool = False) -> int:
    """Serve until told to stop, and answer the exit code; `ready` is told where."""

    async def run() -> None:
        server.stop.rule_the_process(server.settings.drain_seconds, once=once)
        await server.run(ready)

    gc.freeze()  # what was loaded stays; no collection need look at it again
    try:
        uvloop.run(run())
    finally:
        if server.is_idle():
            server.close()
    log.lines.drain()
    if not server.is_idle():
        os._exit(server.stop.exit_code)  # a call hangs; what was acknowledged is durable
    return server.stop.exit_code
