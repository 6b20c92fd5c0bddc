"""What is printed: results to standard output, words to standard error, never a raw control.

Texts that come from a registry may hold anything. All that is printed goes through `clean`, which
escapes what could move a cursor, reorder a line or hide in it.
"""

import contextlib
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

_JOINERS = "\u200c\u200d"  # scripts and emoji need them, and they move nothing
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def prepare() -> None:
    """Make printing safe: any text can be written, and a closed stream is like `/dev/null`."""
    sys.stdout = _usable(sys.stdout)
    sys.stderr = _usable(sys.stderr)


def drop() -> None:
    """Let go of a standard output that can't be written, so that nothing complains at the end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())


def flush() -> None:
    """Have everything written now, so that a failure is seen."""
    sys.stdout.flush()


def drop_if_broken() -> None:
    """Print what is still to be printed, and let go of the stream where that fails."""
    try:
        sys.stdout.flush()
    except OSError:
        drop()


def clean(text: str) -> str:
    """Escape what doesn't print: controls, line breaks, what changes direction, surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _prints(char) else _escaped(char) for char in text)


def line(text: str = "") -> None:
    """Print a line of a result."""
    sys.stdout.write(f"{clean(text)}\n")


def say(text: str) -> None:
    """Tell people something, if there is anywhere to tell it."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{clean(text)}\n")
        sys.stderr.flush()


def document(value: Any) -> None:
    """Print a JSON document."""
    sys.stdout.write(_json(value, indent=2))


def json_line(value: Any) -> None:
    """Print a JSON document on one line, at once."""
    sys.stdout.write(_json(value))
    sys.stdout.flush()


def exact(text: str) -> None:
    """Print a text byte by byte as it is: the caller knows that it's harmless."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, as wide as they need to be."""
    cells = [list(headers), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print labelled texts, indented; empty ones are left out, and each line of a text is one."""
    told = [(clean(label), text) for label, text in pairs if text]
    width = max((_width(label) for label, _ in told), default=0)
    for label, text in told:
        for part in text.splitlines():
            line(f"  {label}{' ' * (width - _width(label))}  {part}")
            label = ""


def first_line(text: str) -> str:
    """Give what of a longer text fits a table."""
    lines = text.strip().splitlines()
    return brief(lines[0]) if lines else ""


def brief(value: object) -> str:
    """Write a value in at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def size(count: int | float) -> str:
    """Write a number of bytes: `1.5 MiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1024
        if count < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{count:.1f} {unit}"


def moment(time: datetime | None) -> str:
    """Write a time in this machine's zone, in a form that `--at` reads."""
    return "" if time is None else time.astimezone().isoformat(" ", "seconds")


def counted(count: int, one: str, many: str = "") -> str:
    """Write a number of things: `1 file`, `2 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def value(given: Any) -> str:
    """Write a parameter's or label's value so that its type shows: a text `7` is quoted."""
    if given is None:
        return "-"
    if not isinstance(given, str):
        return json.dumps(given, ensure_ascii=False)
    try:
        json.loads(given)
    except (ValueError, RecursionError):
        return given if given else '""'
    return json.dumps(given, ensure_ascii=False)


def _usable(stream: TextIO | None) -> TextIO:
    if stream is None:  # the process was started without it
        return open(os.devnull, "w", encoding="utf-8")
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, allow_nan=False)  # in ASCII
    return text.replace("\x7f", "\\u007f") + "\n"


def _prints(char: str) -> bool:
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
