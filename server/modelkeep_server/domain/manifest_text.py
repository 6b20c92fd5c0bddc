"""The form of a manifest's text.

One line a file: lower-case hex of the sha256, two spaces, path, line feed; the last line too.
Sorted by the path's bytes; no path twice, and none that is also a folder of another.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelkeep.errors import InvalidArgumentError
from modelkeep.names import check_path

_LINE = re.compile(rb"([0-9a-f]{64})  (.+)", re.DOTALL)
_MOST_LINE_BYTES = 64 + 2 + 1_024 + 1


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a manifest."""

    digest: str
    path: str


def digest(files: Iterable[tuple[str, str]]) -> str:
    """Give the digest of the text of these files, each by its digest and path, in their order."""
    text = hashlib.sha256()
    for named, path in files:
        text.update(f"{named.removeprefix('sha256:')}  {path}\n".encode())
    return f"sha256:{text.hexdigest()}"


def read(blocks: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a manifest's text, or refuse it at the first that breaks the form."""
    number = 0
    before = b""
    folders: list[bytes] = []
    for number, text in enumerate(_lines(blocks), 1):
        match = _LINE.fullmatch(text)
        if match is None:
            raise _invalid(number, "it is not 64 hex digits, two spaces and a path")
        path = match[2]
        if path <= before:
            raise _invalid(
                number, "its path is there already" if path == before else "it is out of order"
            )
        # What a path begins with, of those before it: only these can be its folder.
        while folders and not path.startswith(folders[-1]):
            folders.pop()
        for folder in folders:
            if path[len(folder) : len(folder) + 1] == b"/":
                raise _invalid(number, "a folder of its path is a file of the manifest too")
        folders.append(path)
        before = path
        yield Line(f"sha256:{match[1].decode()}", _path(number, path))
    if number == 0:
        raise _invalid(1, "a version has at least one file")


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    number = 0
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        number += len(lines)
        yield from lines
        if len(rest) > _MOST_LINE_BYTES:
            raise _invalid(number + 1, "it is too long")
    if rest:
        raise _invalid(number + 1, "it does not end with a line feed")


def _path(number: int, raw: bytes) -> str:
    try:
        path = raw.decode()
        check_path(path, "path")
    except UnicodeDecodeError:
        raise _invalid(number, "its path is not UTF-8") from None
    except InvalidArgumentError as error:
        raise _invalid(number, str(error)) from None
    return path


def _invalid(number: int, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "MANIFEST_INVALID", f"line {number} of the manifest: {why}", field="digest", line=number
    )
