"""Namespaces and assets are what their rows say, and their counters add up.

* A message agrees with the columns beside it.
* An asset's versions are numbered 1, 2, … up to its counter, none twice.
* How many versions it shows, the latest of them and the bytes used are those of its versions:
  deleted ones show no more, and their bytes count until they are purged.
* Its history ends with its being deleted, if it is.
* At most one of its versions is in production.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from modelkeep.errors import DataLossError
from modelkeep.names import fold
from modelkeep.v1 import namespace_pb2, version_pb2
from modelkeep_server.domain import verify_aliases, verify_versions
from modelkeep_server.records import survey_versions as survey
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import deletion, read_stored
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey import BEFORE_ALL
from modelkeep_server.records.survey_versions import AssetRow, NamespaceRow, VersionRow
from modelkeep_server.records.transaction import etag
from modelkeep_server.values.findings import Damage
from modelkeep_server.values.subset import Subset


@dataclass(slots=True)
class _Sums:
    """What an asset's versions add up to."""

    last: int = 0
    live: int = 0
    latest: int = 0
    size: int = 0
    in_production: int = 0

    def add(self, row: VersionRow) -> None:
        stored = row.version
        self.last = stored.number
        self.in_production += row.stage == version_pb2.STAGE_PRODUCTION
        if stored.deleted_us is None:
            self.live += 1
            self.latest = stored.number
        if not stored.purged and row.content is not None:
            self.size += row.content[2]


def check(session: Session, checked: Counter[str], subset: Subset) -> Iterator[Damage]:
    """Check all namespaces, and a subset of the assets with all of their versions and aliases."""
    yield from namespaces(session)
    for _, found in each(session, checked, subset):
        yield from found
    yield from moves(session)


def namespaces(session: Session) -> Iterator[Damage]:
    """Check all namespaces."""
    for row in survey.namespaces(session):
        for text in _namespace(row):
            yield Damage("namespace", f"namespaces/{row.name}", text)


def each(
    session: Session, checked: Counter[str], subset: Subset, after: int = BEFORE_ALL
) -> Generator[tuple[int, Iterator[Damage]], None, None]:
    """Check the assets behind a row, one by one: yields each one's row, and what is found."""
    for row in survey.assets(session, after):
        if not subset.has(row.asset.resource):
            continue
        checked["assets"] += 1
        yield row.asset.id, _whole(session, row, checked)


def moves(session: Session) -> Iterator[Damage]:
    """Check that the log has the event of each move."""
    for resource, position in survey.untold_moves(session):
        yield Damage("history", resource, f"a move has no event of its time: events/{position}")


def _whole(session: Session, asset: AssetRow, checked: Counter[str]) -> Iterator[Damage]:
    for text in _asset(asset):
        yield Damage("asset", asset.asset.resource, text)
    if survey.last_asset_move(session, asset.asset.id) != (asset.asset.deleted_us is not None):
        yield _damage(asset.asset, "its history does not end where it is now")
    yield from _versions(session, asset.asset, checked)
    yield from verify_aliases.check(session, asset.asset)


def _namespace(row: NamespaceRow) -> Iterator[str]:
    try:
        message = read_stored(namespace_pb2.Namespace, row.message)
    except DataLossError:
        yield "its message can't be read"
        return
    found = (message.name, message.etag, row.folded)
    if found != (f"namespaces/{row.name}", etag(row.revision), fold(row.name)):
        yield "its message has another name or etag than its row"


def _asset(row: AssetRow) -> Iterator[str]:
    asset = row.asset
    try:
        message = asset.parsed()
    except DataLossError:
        yield "its message can't be read"
        return
    if (message.name, message.etag) != (asset.resource, etag(asset.revision)):
        yield "its message has another name or etag than its row"
    name = asset.resource.rpartition("/")[2]
    if (f"namespaces/{row.namespace}/assets/{name}", fold(name)) != (asset.resource, row.folded):
        yield "its row is in another namespace, or under another name"
    if message.kind != asset.kind:
        yield "its message has another kind than its row"
    if deletion(message) != (asset.deleted_us, asset.purge_us):
        yield "its message was deleted at another time than its row"


def _versions(session: Session, asset: StoredAsset, checked: Counter[str]) -> Iterator[Damage]:
    sums = _Sums()
    for row in survey.versions(session, asset.id):
        checked["versions"] += 1
        number = row.version.number
        if number != sums.last + 1:
            yield _damage(asset, f"version {number} comes after version {sums.last}")
        sums.add(row)
        yield from verify_versions.check(session, asset, row)
    for text in _counters(asset, sums):
        yield _damage(asset, text)


def _counters(asset: StoredAsset, sums: _Sums) -> Iterator[str]:
    for what, found, right in (
        ("the next number is", asset.next_number, sums.last + 1),
        ("the count of its versions is", asset.version_count, sums.live),
        ("its latest version is", asset.latest_number, sums.latest),
        ("the bytes it uses are", asset.size, sums.size),
    ):
        if found != right:
            yield f"{what} {found} in its row, and {right} by its versions"
    if sums.in_production > 1:
        yield f"{sums.in_production} of its versions are in production"


def _damage(asset: StoredAsset, text: str) -> Damage:
    return Damage("asset", asset.resource, text)
