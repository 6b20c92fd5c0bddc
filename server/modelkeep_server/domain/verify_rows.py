"""What readers get is what the log says.

* Each namespace, asset, version and alias is what its last event made it, and no event is
  without its row.
* So is the history: see `verify_history.py`.
"""

from collections.abc import Iterator

from modelkeep.errors import DataLossError
from modelkeep_server.domain import verify_history
from modelkeep_server.records import survey_log
from modelkeep_server.records.encode import fingerprint
from modelkeep_server.records.ledger import Ledger
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey_log import LoggedRow
from modelkeep_server.values.findings import Damage


def check(session: Session, ledger: Ledger) -> Iterator[Damage]:
    """Hold every row that is on the log against its last event."""
    for found in each(session, ledger):
        yield from found


def each(session: Session, ledger: Ledger) -> Iterator[Iterator[Damage]]:
    """Do that a row at a time; what is found must be asked for."""
    for row in survey_log.logged(session):
        yield _row(row, ledger)
    yield _left(ledger)
    yield from verify_history.each(session, ledger)


def _left(ledger: Ledger) -> Iterator[Damage]:
    for resource, position in ledger.left():
        text = f"is not there, but events/{position} says what became of it"
        yield Damage(_kind(resource), resource, text)


def _row(row: LoggedRow, ledger: Ledger) -> Iterator[Damage]:
    entry = ledger.take(row.resource)
    if entry is None:
        yield Damage(_kind(row.resource), row.resource, "no event says that it was made")
        return
    if entry.revision != row.revision:
        text = f"has revision {row.revision}, the log's last is {entry.revision}"
        yield Damage(_kind(row.resource), row.resource, text)
    elif _print(entry.type, row.body) != entry.body:
        text = f"is not what events/{entry.position}, the last to change it, made it"
        yield Damage(_kind(row.resource), row.resource, text)


def _print(type_name: str, body: bytes | None) -> bytes:
    if body is None:
        return b""
    try:
        return fingerprint(type_name, body)
    except (DataLossError, KeyError):
        return b"unreadable"


def _kind(resource: str) -> str:
    """Tell what a resource is.

    >>> _kind("namespaces/a/assets/b")
    'asset'
    """
    word = resource.split("/")[-2] if "/" in resource else resource
    return {"aliases": "alias"}.get(word, word.removesuffix("s"))
