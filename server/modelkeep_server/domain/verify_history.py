"""The history, which answers what was when, is what the log says.

* Each move of an alias, of a version's stage and of an asset's deletion is what its event says.
* Each event that moves one has its row in the history.
"""

from collections.abc import Iterator

from modelkeep.v1 import alias_pb2, asset_pb2, version_pb2
from modelkeep_server.records import survey_log
from modelkeep_server.records.encode import read_stored
from modelkeep_server.records.ledger import Ledger
from modelkeep_server.records.sql import Session
from modelkeep_server.values.findings import Damage

_ALIAS = alias_pb2.Alias.DESCRIPTOR.full_name
_ASSET = asset_pb2.Asset.DESCRIPTOR.full_name
_VERSION = version_pb2.Version.DESCRIPTOR.full_name


def move(type_name: str, principal: str, before: bytes | None, after: bytes | None) -> str | None:
    """Tell what the history must have of a change, as `survey_log.moves` writes it.

    Raises `DataLossError` where a body can't be read.
    """
    if type_name == _ALIAS:
        return survey_log.alias_move(read_stored(alias_pb2.Alias, after or b"").version, principal)
    if type_name == _VERSION and _stage(before) != _stage(after):
        return survey_log.stage_move(_stage(after) or 0)
    if type_name == _ASSET and _is_deleted(before) != _is_deleted(after):
        return survey_log.asset_move(_is_deleted(after))
    return None


def each(session: Session, ledger: Ledger) -> Iterator[Iterator[Damage]]:
    """Hold the history against the log, a row at a time; what is found must be asked for."""
    for resource, position, found in survey_log.moves(session):
        yield _row(ledger, resource, position, found)
    yield _left(ledger)


def _row(ledger: Ledger, resource: str, position: int, found: str) -> Iterator[Damage]:
    told = ledger.take_move(resource, position)
    if told is None:
        yield Damage("history", resource, f"a move is not one that events/{position} tells of")
    elif told != found:
        yield Damage("history", resource, f"says {found}, and events/{position} {told}")


def _left(ledger: Ledger) -> Iterator[Damage]:
    for resource, position, told in ledger.left_moves():
        yield Damage("history", resource, f"does not have what events/{position} says: {told}")


def _stage(body: bytes | None) -> int | None:
    if body is None:
        return None
    version = read_stored(version_pb2.Version, body)
    return 0 if version.HasField("delete_time") else version.stage


def _is_deleted(body: bytes | None) -> bool:
    return body is not None and read_stored(asset_pb2.Asset, body).HasField("delete_time")
