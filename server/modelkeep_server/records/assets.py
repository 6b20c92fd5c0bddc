"""Assets: queries. The counters (`next_number`, `latest_number`, …) are in no revision."""

from collections.abc import Iterator
from dataclasses import dataclass

from peewee import Query

from modelkeep.names import AssetName, fold
from modelkeep.v1 import asset_pb2
from modelkeep_server.records.encode import (
    ENCODING_VERSION,
    asset_answer,
    message_bytes,
    microseconds,
    read_stored,
)
from modelkeep_server.records.namespaces import StoredNamespace
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Asset, AssetMove
from modelkeep_server.records.transaction import Transaction, etag

COLUMNS = (
    Asset.id,
    Asset.resource,
    Asset.kind,
    Asset.revision,
    Asset.deleted_us,
    Asset.purge_us,
    Asset.next_number,
    Asset.latest_number,
    Asset.version_count,
    Asset.size,
    Asset.message,
)
"""Those of a `StoredAsset`, in the order of its fields."""
_FIND = Statement(lambda: Asset.select(*COLUMNS).where(Asset.resource == bind("resource")))
_BY_ID = Statement(lambda: Asset.select(*COLUMNS).where(Asset.id == bind("id")))
_FIND_FOLDED = Statement(
    lambda: Asset.select(Asset.resource).where(
        (Asset.namespace == bind("namespace")) & (Asset.folded == bind("folded"))
    )
)
_ADD = Statement(
    lambda: Asset.insert(
        namespace=bind("namespace"),
        resource=bind("resource"),
        folded=bind("folded"),
        kind=bind("kind"),
        revision=1,
        next_number=1,
        latest_number=0,
        version_count=0,
        size=0,
        message=bind("message"),
        encoding_version=ENCODING_VERSION,
    )
)
_PUT = Statement(
    lambda: Asset.update(
        revision=bind("revision"),
        deleted_us=bind("deleted_us"),
        purge_us=bind("purge_us"),
        message=bind("message"),
        encoding_version=ENCODING_VERSION,
    ).where(Asset.id == bind("id"))
)
_TAKE_NUMBER = Statement(
    lambda: Asset.update(next_number=Asset.next_number + 1).where(Asset.id == bind("id"))
)
_MOVE = Statement(
    lambda: AssetMove.insert(
        asset=bind("asset"),
        position=bind("position"),
        deleted=bind("deleted"),
        log_us=bind("log_us"),
    )
)
_COUNT = Statement(
    lambda: Asset.update(
        latest_number=bind("latest_number"),
        version_count=bind("version_count"),
        size=bind("size"),
    ).where(Asset.id == bind("id"))
)


@dataclass(frozen=True, slots=True)
class StoredAsset:
    """An asset's row."""

    id: int
    resource: str
    kind: int
    revision: int
    deleted_us: int | None
    purge_us: int | None
    next_number: int
    latest_number: int
    version_count: int
    size: int
    message: bytes

    @property
    def name(self) -> AssetName:
        """Its resource name, in parts."""
        return AssetName.parse(self.resource)

    def alias_name(self, alias: str) -> str:
        """Tell the resource name of an alias of it."""
        return f"{self.resource}/aliases/{alias}"

    def version_name(self, number: int) -> str:
        """Tell the resource name of a version of it."""
        return f"{self.resource}/versions/{number}"

    def parsed(self) -> asset_pb2.Asset:
        """Read its message, without the counters."""
        return read_stored(asset_pb2.Asset, self.message)

    def answer(self) -> bytes:
        """Serialize it as readers get it; `DataLossError` where that is no message."""
        self.parsed()
        return asset_answer(self.message, self.latest_number, self.version_count, self.size)


def find(session: Session, name: AssetName) -> StoredAsset | None:
    """Find an asset, live or deleted."""
    row = session.row(_FIND, resource=str(name))
    return StoredAsset(*row) if row else None


def by_id(session: Session, asset_id: int) -> StoredAsset | None:
    """Find an asset by its row."""
    row = session.row(_BY_ID, id=asset_id)
    return StoredAsset(*row) if row else None


def taken(session: Session, namespace: StoredNamespace, name: str) -> str | None:
    """Tell the resource name of the asset whose name is this one, but for case."""
    row = session.row(_FIND_FOLDED, namespace=namespace.id, folded=fold(name))
    return row[0] if row else None


def page(
    session: Session, prefix: str, kind: int, deleted: bool, after: str, limit: int
) -> Iterator[StoredAsset]:
    """List assets behind a resource name, whose names begin with `prefix`."""
    # What begins with `…/` sorts before `…0`, the character behind the slash.
    query: Query = Asset.select(*COLUMNS).where(
        (Asset.resource > max(after, prefix)) & (Asset.resource < prefix[:-1] + "0")
    )
    if kind:
        query = query.where(Asset.kind == kind)
    if not deleted:
        query = query.where(Asset.deleted_us.is_null())
    rows = session.each(query.order_by(Asset.resource).limit(limit))
    return (StoredAsset(*row) for row in rows)


def add(tx: Transaction, namespace: StoredNamespace, asset: asset_pb2.Asset) -> None:
    """Add an asset."""
    asset.etag = etag(1)
    message = message_bytes(asset)
    tx.session.insert(
        _ADD,
        namespace=namespace.id,
        resource=asset.name,
        folded=fold(AssetName.parse(asset.name).asset),
        kind=asset.kind,
        message=message,
    )
    tx.note(asset.name, 1, asset_pb2.Asset, None, message)


def put(tx: Transaction, stored: StoredAsset, asset: asset_pb2.Asset) -> None:
    """Change an asset."""
    revision = stored.revision + 1
    asset.etag = etag(revision)
    message = message_bytes(asset)
    deleted = asset.HasField("delete_time")
    tx.session.put(
        _PUT,
        id=stored.id,
        revision=revision,
        deleted_us=microseconds(asset.delete_time) if deleted else None,
        purge_us=microseconds(asset.purge_time) if deleted else None,
        message=message,
    )
    tx.note(asset.name, revision, asset_pb2.Asset, stored.message, message)
    if deleted != (stored.deleted_us is not None):
        tx.session.put(
            _MOVE, asset=stored.id, position=tx.position, deleted=deleted, log_us=tx.time_us
        )


def take_number(tx: Transaction, stored: StoredAsset) -> int:
    """Take the next version number: from the counter, so that none is used twice or left out."""
    tx.session.put(_TAKE_NUMBER, id=stored.id)
    return stored.next_number


def count(tx: Transaction, stored: StoredAsset, *, latest: int, versions: int, size: int) -> None:
    """Set the counters that readers see; a change of `versions` and `size`, not their values."""
    tx.session.put(
        _COUNT,
        id=stored.id,
        latest_number=latest,
        version_count=stored.version_count + versions,
        size=stored.size + size,
    )
