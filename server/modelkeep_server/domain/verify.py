"""Is a registry's data what modelkeep promises? Every rule, one after another.

The rules are in the modules named `verify_…`, each with the list of its own. Rows are read one at
a time, so that memory is bounded whatever is kept.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from modelkeep_server.blobs import BlobFiles
from modelkeep_server.domain import (
    verify_assets,
    verify_blobs,
    verify_log,
    verify_manifests,
    verify_rows,
)
from modelkeep_server.records.database import Inspected
from modelkeep_server.records.ledger import Ledger
from modelkeep_server.values.findings import Damage, Finding, UnreadableError
from modelkeep_server.values.kept_log import Kept
from modelkeep_server.values.subset import WHOLE, Subset

Rule: TypeAlias = Callable[[], Iterator[Finding]]
LogRule: TypeAlias = Callable[[Inspected, Ledger, Counter[str]], Iterator[Finding]]

COUNTED = ("assets", "versions", "manifests", "blobs", "bytes_read", "events")


def verify(
    database: Inspected,
    files: BlobFiles,
    *,
    read_data: bool,
    checked: Counter[str],
    subset: Subset = WHOLE,
) -> Iterator[Finding]:
    """Yield everything that is found; `checked` counts what was looked at.

    Of blobs, manifests and assets only a subset. The log is read whole: each entry builds on the
    ones before.
    """
    bytes_: list[Rule] = [
        partial(verify_blobs.check, database, files, read_data, checked, subset),
        partial(verify_manifests.check, database, files, read_data, checked, subset),
    ]
    yield from _follow(database, bytes_, checked, subset, verify_log.check)


def audit(database: Inspected, checked: Counter[str], kept: Kept) -> Iterator[Finding]:
    """Yield where the log is not what was kept of it, or rows are not what the log says.

    No blob is looked at; a version's digest, which the log has, binds its files.
    """
    manifests = partial(verify_manifests.check_rows, database)
    yield from _follow(database, [manifests], checked, WHOLE, partial(verify_log.audit, kept=kept))


def _follow(
    database: Inspected, bytes_: list[Rule], checked: Counter[str], subset: Subset, log: LogRule
) -> Iterator[Finding]:
    """Follow the rules of bytes, and then all those of records."""
    yield from _read(partial(_database, database))
    wrong = list(_kinds(database))
    yield from wrong
    if wrong:
        return  # what the rules read must be what they take it for
    with Ledger() as ledger:
        records: list[Rule] = [
            partial(verify_assets.check, database, checked, subset),
            partial(log, database, ledger, checked),
            partial(verify_rows.check, database, ledger),
        ]
        for rule in (*bytes_, *records):
            yield from _read(rule)


def _read(rule: Rule) -> Iterator[Finding]:
    """Follow a rule as far as the database can be read."""
    try:
        yield from rule()
    except UnreadableError as error:
        yield unreadable(error)


def is_settled(finding: Finding) -> bool:
    """Tell whether something is wrong, and not just arriving, where servers go on meanwhile."""
    return isinstance(finding, Damage) and finding.what != "staged"


def unreadable(error: UnreadableError) -> Damage:
    """Say why the database can't be read any further."""
    return Damage("database", "modelkeep.db", str(error))


def _database(database: Inspected) -> Iterator[Damage]:
    for problem in database.problems():
        yield Damage("database", "modelkeep.db", problem)


def _kinds(database: Inspected) -> Iterator[Damage]:
    for problem in database.wrong_kinds():
        yield Damage("database", "modelkeep.db", problem)
