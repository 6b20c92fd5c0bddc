"""Assets: what may happen to them.

* Names are unique in a namespace, also but for case, and never used again.
* A kind never changes.
* Deleting one changes its own row only, and hides its versions; it is refused while one of
  them is held.
"""

from google.protobuf.field_mask_pb2 import FieldMask

from modelkeep.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
)
from modelkeep.names import AssetName
from modelkeep.v1 import asset_pb2
from modelkeep_server.domain import holds, namespaces
from modelkeep_server.domain.updates import apply_mask, check_etag
from modelkeep_server.records import assets as rows
from modelkeep_server.records import versions
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import timestamp
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call

_CHANGEABLE = frozenset({"display_name", "description", "labels"})


def create(records: Records, call: Call, name: AssetName, wanted: asset_pb2.Asset) -> Answer:
    """Make an asset without versions, or change nothing."""

    def work(tx: Transaction) -> bytes:
        return add(tx, name, wanted).answer()

    return records.change(call, "asset.created", work)


def update(records: Records, call: Call, wanted: asset_pb2.Asset, mask: FieldMask) -> Answer:
    """Change an asset's own fields."""

    def work(tx: Transaction) -> bytes:
        stored = live(tx.session, AssetName.parse(wanted.name, "asset.name"))
        asset = stored.parsed()
        check_etag(asset.name, asset.etag, wanted.etag)
        if not apply_mask(asset, wanted, mask, _CHANGEABLE):
            return stored.answer()
        return _put(tx, stored, asset)

    return records.change(call, "asset.updated", work)


def delete(records: Records, call: Call, name: AssetName, etag: str) -> Answer:
    """Hide an asset and its versions, until it is undeleted."""

    def work(tx: Transaction) -> bytes:
        stored = get(tx.session, name)
        asset = stored.parsed()
        check_etag(asset.name, asset.etag, etag)
        if stored.deleted_us is not None:
            return stored.answer()
        holds.check_asset(tx.session, stored)
        asset.delete_time.CopyFrom(timestamp(tx.time_us))
        asset.purge_time.CopyFrom(timestamp(tx.time_us + undelete_period_us(tx.session, name)))
        return _put(tx, stored, asset)

    return records.change(call, "asset.deleted", work)


def undelete(records: Records, call: Call, name: AssetName) -> Answer:
    """Take a deletion back."""

    def work(tx: Transaction) -> bytes:
        stored = get(tx.session, name)
        if stored.deleted_us is None:
            return stored.answer()
        check_undeletable(stored.resource, stored.purge_us, tx.time_us)
        for source in versions.deleted_inputs_of_asset(tx.session, stored.id):
            raise FailedPreconditionError(
                "VERSION_DELETED",
                f"{source}, an input of a version of {name}, is deleted; undelete it first",
                resource=source,
            )
        asset = stored.parsed()
        asset.ClearField("delete_time")
        asset.ClearField("purge_time")
        return _put(tx, stored, asset)

    return records.change(call, "asset.undeleted", work)


def add(tx: Transaction, name: AssetName, wanted: asset_pb2.Asset) -> StoredAsset:
    """Make an asset in a transaction, or refuse."""
    namespace = namespaces.get(tx.session, name.namespace)
    taken = rows.taken(tx.session, namespace, name.asset)
    if taken is not None:
        raise name_taken(taken)
    asset = asset_pb2.Asset(
        name=str(name),
        kind=wanted.kind or asset_pb2.ASSET_KIND_MODEL,
        display_name=wanted.display_name,
        description=wanted.description,
        labels=wanted.labels,
        creator=tx.call.principal,
        create_time=timestamp(tx.time_us),
        update_time=timestamp(tx.time_us),
    )
    rows.add(tx, namespace, asset)
    return get(tx.session, name)


def get(session: Session, name: AssetName) -> StoredAsset:
    """Find an asset, live or deleted, or refuse."""
    stored = rows.find(session, name)
    if stored is None:
        namespaces.get(session, name.namespace)
        raise NotFoundError("RESOURCE_NOT_FOUND", f"{name} does not exist", resource=name)
    return stored


def live(session: Session, name: AssetName) -> StoredAsset:
    """Find an asset that is not deleted, or refuse."""
    stored = get(session, name)
    if stored.deleted_us is not None:
        raise deleted(stored.resource)
    return stored


def deleted(name: str, when: str = "") -> FailedPreconditionError:
    """Say that an asset is deleted, or was as of a time."""
    why = f"{name} was deleted{when}" if when else f"{name} is deleted; undelete it first"
    return FailedPreconditionError("ASSET_DELETED", why, resource=name)


def undelete_period_us(session: Session, name: AssetName) -> int:
    """Tell how long what is deleted in this namespace can be undeleted, in microseconds."""
    period = namespaces.get(session, name.namespace).parsed().undelete_period
    return period.seconds * 1_000_000 + period.nanos // 1_000


def check_undeletable(resource: str, purge_us: int | None, now_us: int) -> None:
    """Refuse to undelete what is past its time."""
    if purge_us is not None and purge_us <= now_us:
        raise FailedPreconditionError(
            "UNDELETE_EXPIRED",
            f"the time for undeleting {resource} has passed, or its bytes were released",
            resource=resource,
            purge_time=timestamp(purge_us).ToJsonString(),
        )


def name_taken(resource: str) -> AlreadyExistsError:
    """Say that a name is taken."""
    return AlreadyExistsError(
        "NAME_TAKEN",
        f"{resource} exists, or did once, and names are neither used again nor told apart by "
        "case alone; choose another name",
        resource=resource,
    )


def _put(tx: Transaction, stored: StoredAsset, asset: asset_pb2.Asset) -> bytes:
    asset.update_time.CopyFrom(timestamp(tx.time_us))
    rows.put(tx, stored, asset)
    return get(tx.session, stored.name).answer()
