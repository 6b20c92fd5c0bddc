"""Aliases: movable pointers to versions.

* An alias points to a live version of its own asset.
* `production` is the pointer of that stage: setting it puts the version into production and
  archives the one before, removing it archives the version, in the same transaction; so the
  stage and the alias can't disagree.
* A version has at most 64.
"""

from modelkeep.errors import (
    NotFoundError,
    ResourceExhaustedError,
)
from modelkeep.names import AliasName, VersionName, check_alias
from modelkeep.v1 import version_pb2
from modelkeep_server.domain import assets, resolve
from modelkeep_server.domain.updates import check_etag
from modelkeep_server.records import aliases as rows
from modelkeep_server.records import versions
from modelkeep_server.records.aliases import StoredAlias
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import timestamp
from modelkeep_server.records.records import Records
from modelkeep_server.records.transaction import Transaction, etag
from modelkeep_server.records.versions import StoredVersion
from modelkeep_server.values.call import Answer, Call

PRODUCTION = "production"
MAX_ALIASES = 64
# The etag of an alias that must not exist yet.
ABSENT = "-"


def set_alias(
    records: Records, call: Call, name: AliasName, version: VersionName, wanted_etag: str
) -> Answer:
    """Point an alias at a version."""

    def work(tx: Transaction) -> bytes:
        check_alias(name.alias, "name")
        asset = assets.live(tx.session, name.parent)
        target = resolve.numbered(tx.session, version)
        return point(tx, asset, name.alias, target, wanted_etag)

    return records.change(call, "alias.set", work)


def remove(records: Records, call: Call, name: AliasName, wanted_etag: str) -> Answer:
    """Remove an alias; removing `production` archives the version."""

    def work(tx: Transaction) -> bytes:
        asset = assets.live(tx.session, name.parent)
        stored = _existing(rows.find(tx.session, asset, name.alias), name)
        check_etag(str(name), etag(stored.revision), wanted_etag)
        message = rows.put(tx, asset, name.alias, stored, None)
        _leave(tx, stored, name.alias)
        return message

    return records.change(call, "alias.removed", work)


def point(
    tx: Transaction, asset: StoredAsset, alias: str, target: StoredVersion, wanted_etag: str = ""
) -> bytes:
    """Point an alias at a version in a transaction, and answer the alias."""
    name = asset.alias_name(alias)
    if target.asset_id != asset.id:
        raise NotFoundError(
            "RESOURCE_NOT_FOUND",
            f"an alias of {asset.resource} can't point to another asset's version",
            field="version",
            resource=name,
        )
    stored = rows.find(tx.session, asset, alias)
    if stored is not None and stored.name != alias:
        raise assets.name_taken(asset.alias_name(stored.name))
    _check_alias_etag(name, stored, wanted_etag)
    if stored is not None and stored.version_id == target.id:
        return stored.message
    _check_target(tx, target)
    message = rows.put(tx, asset, alias, stored, (target.id, target.number))
    if stored is not None:
        _leave(tx, stored, alias)
    versions.put_aliases(tx, target.id, rows.of_version(tx.session, target.id))
    if alias == PRODUCTION:
        _move(tx, target.id, version_pb2.STAGE_PRODUCTION)
    return message


def existing(records: Records, name: AliasName) -> StoredAlias:
    """Find an alias, or refuse."""
    asset = assets.live(records.read(), name.parent)
    return _existing(rows.find(records.read(), asset, name.alias), name)


def _existing(stored: StoredAlias | None, name: AliasName) -> StoredAlias:
    if stored is None or stored.version_id is None or stored.name != name.alias:
        raise NotFoundError("RESOURCE_NOT_FOUND", f"{name} does not exist", resource=name)
    return stored


def _leave(tx: Transaction, stored: StoredAlias, alias: str) -> None:
    """Take an alias from the version that it pointed to."""
    if stored.version_id is not None:
        names = rows.of_version(tx.session, stored.version_id)
        versions.put_aliases(tx, stored.version_id, names)
        if alias == PRODUCTION:
            _move(tx, stored.version_id, version_pb2.STAGE_ARCHIVED)


def _move(tx: Transaction, version_id: int, stage: version_pb2.Stage.ValueType) -> None:
    stored = versions.by_id(tx.session, version_id)
    if stored is not None:
        version = stored.parsed()
        version.stage = stage
        version.update_time.CopyFrom(timestamp(tx.time_us))
        versions.put(tx, stored, version)


def _check_target(tx: Transaction, target: StoredVersion) -> None:
    resolve.check_live(target)
    if len(rows.of_version(tx.session, target.id)) >= MAX_ALIASES:
        name = target.parsed().name
        raise ResourceExhaustedError(
            "TOO_MANY_ALIASES",
            f"{name} has {MAX_ALIASES} aliases already; remove one first",
            resource=name,
            limit=MAX_ALIASES,
        )


def _check_alias_etag(name: str, stored: StoredAlias | None, wanted: str) -> None:
    live = stored is not None and stored.version_id is not None
    check_etag(name, etag(stored.revision) if stored is not None and live else ABSENT, wanted)
