"""What went wrong, as people read it and scripts see it.

Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 130 stopped by Ctrl-C; 141 nobody reads the
output any more. A problem is one line on standard error: what, why, what to do. With
`MODELKEEP_DEBUG=1` its traceback comes first.
"""

import os
import traceback
from collections.abc import Callable

from modelkeep.cli import output
from modelkeep.errors import Error, InvalidArgumentError, UnavailableError

FAILED = 1
USAGE = 2
STOPPED = 130
UNREAD = 141  # as a shell tells of a program that SIGPIPE ended

# Reasons that say that an argument isn't of the form it must have.
_GRAMMAR = frozenset(
    {
        "ALIAS_INVALID",
        "ALIAS_RESERVED",
        "DIGEST_INVALID",
        "FIELD_INVALID",
        "FIELD_REQUIRED",
        "KEY_INVALID",
        "METRIC_NOT_FINITE",
        "NAME_INVALID",
        "REFERENCE_INVALID",
        "TOKEN_INVALID",
        "URL_INVALID",
    }
)

_WHAT_TO_DO = {
    "ASSET_DELETED": "`modelkeep undelete --asset ASSET` takes that back",
    "DEST_NOT_EMPTY": "or replace it with --force",
    "DISK_FAILED": "choose a place that you may read and write (the cache is MODELKEEP_CACHE)",
    "ETAG_MISMATCH": "look again, then repeat",
    "RESOURCE_NOT_FOUND": "`modelkeep list`, `files` and `history` show what is and was there",
    "STORAGE_FULL": "make room on the server's disk and repeat; what was sent is kept",
    "TIME_IN_FUTURE": "name a time that has passed",
    "VERSION_DELETED": "`modelkeep undelete ASSET:N` takes that back",
    "VERSION_HELD": "an alias goes with `modelkeep alias remove ASSET@NAME`, a version with "
    "`modelkeep delete ASSET:N`",
}


class UsageError(Exception):
    """The command line can't be meant as it stands."""

    exit_code = USAGE
    ctx: object = None  # the parser's context, which knows the command's name

    def format_message(self) -> str:
        """Give the text, as the parser's own errors do."""
        return str(self)


def outcome(work: Callable[[], int]) -> int:
    """Run a command; gives the exit code, whatever happens."""
    output.prepare()
    try:
        code = _attempt(work)
        if code == STOPPED:
            output.say("stopped")
        return code
    except BrokenPipeError:
        output.drop()
        return UNREAD


def _attempt(work: Callable[[], int]) -> int:
    try:
        code = work()
        output.flush()
        return code
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        raise
    except Exception as problem:
        if os.environ.get("MODELKEEP_DEBUG") == "1":
            traceback.print_exception(problem)
        output.drop_if_broken()
        return report(problem)


def report(problem: Exception) -> int:
    """Say what went wrong, in one line; gives the exit code."""
    if type(problem).__name__ == "Abort":  # how older parsers put Ctrl-C
        return STOPPED
    text, code = _told(problem)
    if text:
        output.say(" ".join(text.split()))
    return code


def _told(problem: Exception) -> tuple[str, int]:
    if isinstance(problem, Error):
        return f"modelkeep: {_refusal(problem)}", USAGE if _is_grammar(problem) else FAILED
    format_message = getattr(problem, "format_message", None)
    if format_message is not None:
        return _usage(problem, format_message()), getattr(problem, "exit_code", USAGE)
    if isinstance(problem, OSError):
        where = f"{problem.filename}: " if problem.filename else ""
        return f"modelkeep: {where}{problem.strerror or problem}", FAILED
    kind = type(problem).__name__
    fault = f"{kind}: {problem}" if str(problem) else kind
    return f"modelkeep: a fault of its own ({fault}); MODELKEEP_DEBUG=1 tells more", FAILED


def _is_grammar(error: Error) -> bool:
    return isinstance(error, InvalidArgumentError) and error.reason in _GRAMMAR


def _refusal(error: Error) -> str:
    parts = [str(error).rstrip(".")]
    if error.reason in _WHAT_TO_DO:
        parts.append(_WHAT_TO_DO[error.reason])
    elif error.retry_after_seconds is not None:
        parts.append(f"try again in {error.retry_after_seconds:g} s")
    elif isinstance(error, UnavailableError) and error.reason != "SERVER_UNREACHABLE":
        parts.append("try again later")
    return f"{'; '.join(parts)} [{error.reason}]"


def _usage(problem: Exception, message: str) -> str:
    if type(problem).__name__ == "NoArgsIsHelpError":  # the help was printed
        return ""
    command = getattr(getattr(problem, "ctx", None), "command_path", "modelkeep")
    return f"{command}: {message.rstrip('.')}; see `{command} --help`"
