"""An alias points where its row and its history say.

* Its message agrees with its row.
* It points to a live version of its own asset, which is live.
* Its history has a move for each of its revisions, and ends where it points now.
"""

from collections.abc import Iterator

from modelkeep.errors import DataLossError
from modelkeep.names import fold
from modelkeep.v1 import alias_pb2
from modelkeep_server.records import survey_versions as survey
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import microseconds, read_stored
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey_versions import AliasRow
from modelkeep_server.records.transaction import etag
from modelkeep_server.values.findings import Damage


def check(session: Session, asset: StoredAsset) -> Iterator[Damage]:
    """Check an asset's aliases, the removed ones too."""
    for row in survey.aliases(session, asset.id):
        for text in _faults(session, asset, row):
            yield Damage("alias", asset.alias_name(row.name), text)


def _faults(session: Session, asset: StoredAsset, row: AliasRow) -> Iterator[str]:
    try:
        message = read_stored(alias_pb2.Alias, row.message)
    except DataLossError:
        yield "its message can't be read"
        return
    found = (message.name, message.etag, row.folded)
    if found != (asset.alias_name(row.name), etag(row.revision), fold(row.name)):
        yield "its message has another name or etag than its row"
    yield from _target(asset, row, message)
    yield from _history(session, asset, row, message)


def _target(asset: StoredAsset, row: AliasRow, message: alias_pb2.Alias) -> Iterator[str]:
    target = "" if row.number is None else asset.version_name(row.number)
    if message.version != target:
        yield "its message points to another version than its row"
    if row.version_id is None:
        return
    if row.asset_id is None:
        yield "points to a version that is not there"
    elif row.asset_id != asset.id:
        yield "points to another asset's version"
    elif row.deleted_us is not None or asset.deleted_us is not None:
        yield f"points to {target}, which is deleted"


def _history(
    session: Session, asset: StoredAsset, row: AliasRow, message: alias_pb2.Alias
) -> Iterator[str]:
    last = survey.last_alias_move(session, asset.id, row.name)
    if last is None or last.count != row.revision:
        yield f"its history has {last.count if last else 0} moves, not {row.revision}"
    if last is None:
        return
    told = (row.version_id, message.updater, microseconds(message.update_time))
    if (last.version_id, last.principal, last.log_us) != told:
        yield "its history does not end where it points now"
