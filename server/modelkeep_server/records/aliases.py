"""Aliases: queries. A removed alias keeps its row, so that its revisions go on."""

from dataclasses import dataclass

from peewee import JOIN, Query

from modelkeep.names import fold
from modelkeep.v1 import alias_pb2
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import ENCODING_VERSION, message_bytes, timestamp
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Alias, AliasMove, Version
from modelkeep_server.records.transaction import Transaction, etag

_COLUMNS = (Alias.id, Alias.name, Alias.version, Alias.revision, Alias.message)
_FIND = Statement(
    lambda: Alias.select(*_COLUMNS).where(
        (Alias.asset == bind("asset")) & (Alias.folded == bind("folded"))
    )
)
_OF_VERSION = Statement(lambda: Alias.select(Alias.name).where(Alias.version == bind("version")))
_OF_ASSET = Statement(
    lambda: (
        Alias.select(Alias.name)
        .where((Alias.asset == bind("asset")) & Alias.version.is_null(False))
        .limit(bind("limit"))
    )
)
_PAGE = Statement(
    lambda: (
        Alias.select(Alias.name, Alias.message)
        .where(
            (Alias.asset == bind("asset"))
            & Alias.version.is_null(False)
            & (Alias.name > bind("after"))
        )
        .order_by(Alias.name)
        .limit(bind("limit"))
    )
)
_ADD = Statement(
    lambda: Alias.insert(
        asset=bind("asset"),
        name=bind("name"),
        folded=bind("folded"),
        version=bind("version"),
        revision=1,
        message=bind("message"),
        encoding_version=ENCODING_VERSION,
    )
)
_PUT = Statement(
    lambda: Alias.update(
        version=bind("version"),
        revision=bind("revision"),
        message=bind("message"),
        encoding_version=ENCODING_VERSION,
    ).where(Alias.id == bind("id"))
)
_MOVE = Statement(
    lambda: AliasMove.insert(
        asset=bind("asset"),
        position=bind("position"),
        name=bind("name"),
        version=bind("version"),
        principal=bind("principal"),
        log_us=bind("log_us"),
    )
)


@dataclass(frozen=True, slots=True)
class StoredAlias:
    """An alias's row. No version: it was removed."""

    id: int
    name: str
    version_id: int | None
    revision: int
    message: bytes


def find(session: Session, asset: StoredAsset, name: str) -> StoredAlias | None:
    """Find an alias of this name, or of one that differs in case; also a removed one."""
    row = session.row(_FIND, asset=asset.id, folded=fold(name))
    return StoredAlias(*row) if row else None


def of_version(session: Session, version_id: int) -> list[str]:
    """Name the aliases that point to a version."""
    return [name for (name,) in session.rows(_OF_VERSION, version=version_id)]


def of_asset(session: Session, asset: StoredAsset, limit: int) -> list[str]:
    """Name the aliases of an asset, at most `limit`."""
    return [name for (name,) in session.rows(_OF_ASSET, asset=asset.id, limit=limit)]


def page(session: Session, asset: StoredAsset, after: str, limit: int) -> list[tuple[str, bytes]]:
    """List an asset's aliases behind a name: names with messages."""
    rows = session.rows(_PAGE, asset=asset.id, after=after, limit=limit)
    return [(name, message) for name, message in rows]


def put(
    tx: Transaction,
    asset: StoredAsset,
    name: str,
    stored: StoredAlias | None,
    version: tuple[int, int] | None,
) -> bytes:
    """Point an alias at a version (row and number) or at none, and answer its message."""
    resource = asset.alias_name(name)
    revision = stored.revision + 1 if stored else 1
    message = message_bytes(
        alias_pb2.Alias(
            name=resource,
            version=asset.version_name(version[1]) if version else "",
            updater=tx.call.principal,
            update_time=timestamp(tx.time_us),
            etag=etag(revision),
        )
    )
    version_id = version[0] if version else None
    if stored is None:
        tx.session.insert(
            _ADD,
            asset=asset.id,
            name=name,
            folded=fold(name),
            version=version_id,
            message=message,
        )
    else:
        tx.session.put(_PUT, id=stored.id, version=version_id, revision=revision, message=message)
    live = stored is not None and stored.version_id is not None
    before = stored.message if stored is not None and live else None
    tx.note(resource, revision, alias_pb2.Alias, before, message if version else None)
    tx.session.put(
        _MOVE,
        asset=asset.id,
        position=tx.position,
        name=name,
        version=version_id,
        principal=tx.call.principal,
        log_us=tx.time_us,
    )
    return message


def moves(
    session: Session, asset: StoredAsset, alias: str, below: tuple[int, str] | None, limit: int
) -> list[tuple[int, str, alias_pb2.AliasChange]]:
    """List the moves of an asset's aliases, the latest first: position, alias and message."""
    query: Query = (
        AliasMove.select(
            AliasMove.position,
            AliasMove.name,
            Version.number,
            AliasMove.principal,
            AliasMove.log_us,
        )
        .join(Version, JOIN.LEFT_OUTER, on=(Version.id == AliasMove.version))
        .where(AliasMove.asset == asset.id)
    )
    if alias:
        query = query.where(AliasMove.name == alias)
    if below is not None:
        position, name = below
        query = query.where(
            (AliasMove.position < position)
            | ((AliasMove.position == position) & (AliasMove.name < name))
        )
    query = query.order_by(AliasMove.position.desc(), AliasMove.name.desc()).limit(limit)
    return [(row[0], row[1], _change(asset, *row)) for row in session.rows(query)]


def _change(
    asset: StoredAsset, position: int, alias: str, number: int | None, principal: str, log_us: int
) -> alias_pb2.AliasChange:
    return alias_pb2.AliasChange(
        alias=asset.alias_name(alias),
        version=asset.version_name(number) if number else "",
        principal=principal,
        log_time=timestamp(log_us),
        event=f"events/{position}",
    )
