"""Versions: what may happen to them.

* A version is a sealed manifest with its record, numbered from 1 in its asset without gaps;
  a number is never used again.
* Its record never changes, and names its author: the caller, whatever the request says.
* Its inputs are live versions when it is made, and stay so while it is live.
* A held version (in production, under an alias, an input of a live one) is not deleted.
"""

from google.protobuf.field_mask_pb2 import FieldMask

from modelkeep.digests import recipe_digest, record_digest
from modelkeep.errors import FailedPreconditionError
from modelkeep.names import AssetName, VersionName
from modelkeep.v1 import asset_pb2, recipe_pb2, version_pb2, version_service_pb2
from modelkeep_server.domain import aliases, assets, holds, inputs, resolve
from modelkeep_server.domain.updates import apply_mask, check_etag
from modelkeep_server.records import assets as asset_rows
from modelkeep_server.records import manifests
from modelkeep_server.records import versions as rows
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import message_bytes, read_stored, timestamp
from modelkeep_server.records.manifests import SealedManifest
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.records.versions import StoredVersion
from modelkeep_server.values.call import Answer, Call

_CHANGEABLE = frozenset({"display_name", "description", "labels"})


def create(
    records: Records, call: Call, request: version_service_pb2.CreateVersionRequest
) -> Answer:
    """Make a sealed manifest the asset's next version, or change nothing."""
    name = AssetName.parse(request.parent, "parent")
    digest = request.version.record.digest

    def work(tx: Transaction) -> bytes:
        asset = _asset_for(tx, name, request)
        stored = rows.latest(tx.session, name) if request.if_changed else None
        if stored is not None and stored.parsed().record.digest == digest:
            tx.act = "alias.set"
        else:
            manifest = _sealed(tx, name, digest)
            version = _next(tx, asset, request.version, manifest)
            stored = _add(tx, asset, manifest, version, request.version.record, request.recipe)
        return _point(tx, asset, stored, list(request.aliases))

    return records.change(call, "version.created", work)


def restore(records: Records, call: Call, name: VersionName, note: str) -> Answer:
    """Make an older version's content and record the asset's next version."""

    def work(tx: Transaction) -> bytes:
        asset = assets.live(tx.session, name.parent)
        source = resolve.numbered(tx.session, name)
        check_content(source)
        old = source.parsed()
        manifest = SealedManifest(source.manifest_id, old.record.file_count, old.record.size)
        old.record.change_note = note or f"Restores version {source.number}"
        version = _next(tx, asset, old, manifest)
        version.record.restored_from = str(name)
        recipe = read_stored(recipe_pb2.Recipe, rows.recipe(tx.session, source.id) or b"")
        return _add(tx, asset, manifest, version, old.record, recipe).answer()

    return records.change(call, "version.restored", work)


def update(records: Records, call: Call, wanted: version_pb2.Version, mask: FieldMask) -> Answer:
    """Change a version's own fields."""

    def work(tx: Transaction) -> bytes:
        stored = resolve.numbered(tx.session, VersionName.parse(wanted.name, "version.name"))
        resolve.check_live(stored)
        version = stored.parsed()
        check_etag(version.name, version.etag, wanted.etag)
        if not apply_mask(version, wanted, mask, _CHANGEABLE):
            return stored.answer()
        version.update_time.CopyFrom(timestamp(tx.time_us))
        return rows.put(tx, stored, version).answer()

    return records.change(call, "version.updated", work)


def delete(records: Records, call: Call, name: VersionName, etag: str) -> Answer:
    """Hide a version, until it is undeleted."""

    def work(tx: Transaction) -> bytes:
        asset = assets.live(tx.session, name.parent)
        stored = resolve.numbered(tx.session, name)
        version = stored.parsed()
        check_etag(version.name, version.etag, etag)
        if stored.deleted_us is not None:
            return stored.answer()
        holds.check_version(tx.session, asset, stored)
        period_us = assets.undelete_period_us(tx.session, name.parent)
        version.delete_time.CopyFrom(timestamp(tx.time_us))
        version.purge_time.CopyFrom(timestamp(tx.time_us + period_us))
        changed = rows.put(tx, stored, version)
        _count(tx, asset, versions=-1)
        return changed.answer()

    return records.change(call, "version.deleted", work)


def undelete(records: Records, call: Call, name: VersionName) -> Answer:
    """Take a deletion back."""

    def work(tx: Transaction) -> bytes:
        asset = assets.live(tx.session, name.parent)
        stored = resolve.numbered(tx.session, name)
        if stored.deleted_us is None:
            return stored.answer()
        assets.check_undeletable(str(name), stored.purge_us, tx.time_us)
        for source in rows.deleted_inputs(tx.session, stored.id):
            raise resolve.deleted(source)
        version = stored.parsed()
        version.ClearField("delete_time")
        version.ClearField("purge_time")
        changed = rows.put(tx, stored, version)
        _count(tx, asset, versions=1)
        return changed.answer()

    return records.change(call, "version.undeleted", work)


def purge(records: Records, call: Call, name: VersionName, reason: str, etag: str) -> Answer:
    """Release a deleted version's bytes for good; everything else stays."""

    def work(tx: Transaction) -> bytes:
        asset = assets.live(tx.session, name.parent)
        stored = resolve.numbered(tx.session, name)
        version = stored.parsed()
        check_etag(version.name, version.etag, etag)
        if stored.deleted_us is None:
            raise FailedPreconditionError(
                "VERSION_NOT_DELETED", f"{name} is not deleted; delete it first", resource=name
            )
        if stored.purged:
            return stored.answer()
        return put_purged(tx, asset, stored, version).answer()

    return records.change(call, "version.purged", work, reason=reason)


def put_purged(
    tx: Transaction, asset: StoredAsset, stored: StoredVersion, version: version_pb2.Version
) -> StoredVersion:
    """Release the bytes of a version that is deleted by now."""
    version.purged = True
    version.purge_time.CopyFrom(timestamp(tx.time_us))
    changed = rows.put(tx, stored, version)
    hidden = int(stored.deleted_us is None)
    _count(tx, asset, versions=-hidden, size=-version.record.size)
    return changed


def check_content(stored: StoredVersion) -> None:
    """Refuse a version whose bytes can't be had."""
    if stored.purged:
        name = stored.parsed().name
        raise FailedPreconditionError(
            "CONTENT_PURGED", f"the bytes of {name} were released", resource=name
        )
    resolve.check_live(stored)


def check_kept(session: Session, *version_ids: int) -> None:
    """Refuse what was read of versions' files, if they may have been released meanwhile."""
    for version_id in version_ids:
        stored = rows.by_id(session, version_id)
        if stored is not None and stored.purged:
            check_content(stored)


def _asset_for(
    tx: Transaction, name: AssetName, request: version_service_pb2.CreateVersionRequest
) -> StoredAsset:
    """Find the asset of a new version, or make it where the request says so."""
    asset = asset_rows.find(tx.session, name)
    if asset is None and request.create_asset:
        return assets.add(tx, name, asset_pb2.Asset(kind=request.kind))
    if asset is None or asset.deleted_us is not None:
        asset = assets.live(tx.session, name)  # which says why there is none
    if request.kind and request.kind != asset.kind:
        kinds = asset_pb2.AssetKind.Name
        kind, requested = (
            kinds(value).removeprefix("ASSET_KIND_").lower()
            for value in (asset_pb2.AssetKind.ValueType(asset.kind), request.kind)
        )
        raise FailedPreconditionError(
            "KIND_MISMATCH",
            f"{name} is a {kind}, and that never changes; leave the kind out, or choose another "
            f"name for the {requested}",
            field="kind",
            resource=name,
            kind=kind,
            requested=requested,
        )
    return asset


def _sealed(tx: Transaction, name: AssetName, digest: str) -> SealedManifest:
    parents = (str(name.parent), str(name))
    manifest = manifests.sealed(tx.session, parents, digest)
    if manifest is None:
        raise FailedPreconditionError(
            "MANIFEST_NOT_SEALED",
            f"no manifest {digest} is sealed under {name} or its namespace; upload and seal it, "
            "then repeat",
            field="version.record.digest",
            digest=digest,
        )
    return manifest


def _next(
    tx: Transaction, asset: StoredAsset, wanted: version_pb2.Version, manifest: SealedManifest
) -> version_pb2.Version:
    """Fill in the asset's next version but for its inputs, recipe and record digest."""
    number = asset_rows.take_number(tx, asset)
    now = timestamp(tx.time_us)
    record = wanted.record
    return version_pb2.Version(
        name=asset.version_name(number),
        number=number,
        record=version_pb2.VersionRecord(
            digest=record.digest,
            file_count=manifest.file_count,
            size=manifest.size,
            author=tx.call.principal,
            create_time=now,
            change_note=record.change_note,
            parameters=record.parameters,
            metrics=record.metrics,
            flavor=record.flavor if record.HasField("flavor") else None,
            signature=record.signature if record.HasField("signature") else None,
        ),
        display_name=wanted.display_name,
        description=wanted.description,
        labels=wanted.labels,
        stage=version_pb2.STAGE_DEVELOPMENT,
        update_time=now,
    )


def _add(
    tx: Transaction,
    asset: StoredAsset,
    manifest: SealedManifest,
    version: version_pb2.Version,
    wanted: version_pb2.VersionRecord,
    recipe: recipe_pb2.Recipe,
) -> StoredVersion:
    """Add a version with its inputs and its recipe, and count it."""
    edges = inputs.checked(tx.session, wanted.inputs)
    version.record.inputs.extend(edge.message for edge in edges)
    recipe_body = message_bytes(recipe)
    if recipe_body:
        version.record.recipe_digest = recipe_digest(recipe)
    version.record_digest = record_digest(version.record)
    stored = rows.add(tx, asset, manifest.id, version)
    for ordinal, edge in enumerate(edges):
        if edge.source_id is not None:
            rows.add_input(tx, stored.id, ordinal, edge.source_id, edge.message.role)
    if recipe_body:
        rows.add_recipe(tx, stored.id, recipe_body)
    asset_rows.count(tx, asset, latest=version.number, versions=1, size=version.record.size)
    return stored


def _point(tx: Transaction, asset: StoredAsset, stored: StoredVersion, names: list[str]) -> bytes:
    """Set aliases on a version, and answer it with them."""
    for alias in names:
        aliases.point(tx, asset, alias, stored)
    return (rows.by_id(tx.session, stored.id) or stored).answer() if names else stored.answer()


def _count(tx: Transaction, asset: StoredAsset, *, versions: int = 0, size: int = 0) -> None:
    latest = rows.highest_live(tx.session, asset.id)
    asset_rows.count(tx, asset, latest=latest, versions=versions, size=size)
