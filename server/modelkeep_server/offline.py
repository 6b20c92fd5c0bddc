"""What is done with a data folder while no server runs on it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from modelkeep_server.blobs import LocalFiles
from modelkeep_server.domain import verify_blobs
from modelkeep_server.domain.verify import COUNTED, unreadable, verify
from modelkeep_server.records import folder
from modelkeep_server.records.stopped import stopped
from modelkeep_server.values.findings import (
    CantTellError,
    Damage,
    Finding,
    Orphan,
    UnreadableError,
)

__all__ = ["CantTellError", "Damage", "Finding", "Orphan", "check_folder", "counts"]


def check_folder(data: Path, read_data: bool, checked: Counter[str]) -> Iterator[Finding]:
    """Yield what is found in a folder, counting in `checked`; nothing in it is changed.

    Raises `CantTellError` where it can't be checked.
    """
    try:
        with stopped(data) as database:
            for name in folder.strangers(data):
                yield verify_blobs.stranger(name)
            yield from verify(database, LocalFiles(data), read_data=read_data, checked=checked)
    except UnreadableError as error:
        yield unreadable(error)


def counts(checked: Counter[str]) -> dict[str, int]:
    """Tell what was looked at, by kind."""
    return {kind: checked[kind] for kind in COUNTED}
