"""Versions: queries."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from peewee import Expression, Query, fn

from modelkeep.names import AssetName, VersionName
from modelkeep.v1 import version_pb2
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import (
    ENCODING_VERSION,
    digest_bytes,
    microseconds,
    read_stored,
    version_base,
    version_body,
    version_tail,
)
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import (
    Alias,
    Asset,
    Input,
    Recipe,
    StageMove,
    Version,
)
from modelkeep_server.records.transaction import Transaction, etag

COLUMNS = (
    Version.id,
    Version.asset,
    Version.number,
    Version.manifest,
    Version.revision,
    Version.deleted_us,
    Version.purge_us,
    Version.purged,
    Version.base,
    Version.tail,
)
"""Those of a `StoredVersion`, in the order of its fields."""
_LIVE = Version.deleted_us.is_null()


def _asset_is() -> Expression:
    return (Asset.resource == bind("asset")) & Asset.deleted_us.is_null()


def _of_asset(*where: object) -> Query:
    query = Version.select(*COLUMNS).join(Asset)
    return query.where(_asset_is(), *where)


def _page(of_stage: bool, deleted: bool) -> Query:
    query: Query = Version.select(Version.number, Version.base, Version.tail).where(
        (Version.asset == bind("asset")) & (Version.number < bind("below"))
    )
    if of_stage:
        query = query.where(Version.stage == bind("stage"))
    if not deleted:
        query = query.where(_LIVE)
    return query.order_by(Version.number.desc()).limit(bind("limit"))


def _live_users_of_asset() -> Query:
    source = Version.alias()
    return (
        Version.select(Asset.resource, Version.number)
        .distinct()
        .join(Input, on=(Input.version == Version.id))
        .join(source, on=(source.id == Input.source))
        .join(Asset, on=(Asset.id == Version.asset))
        .where(
            (source.asset == bind("asset"))
            & (Version.asset != bind("asset"))
            & _LIVE
            & Asset.deleted_us.is_null()
        )
        .limit(bind("limit"))
    )


def _deleted_inputs_of_asset() -> Query:
    user = Version.alias()
    return (
        Version.select(Asset.resource, Version.number)
        .join(Input, on=(Input.source == Version.id))
        .join(user, on=(user.id == Input.version))
        .join(Asset, on=(Asset.id == Version.asset))
        .where(
            (user.asset == bind("asset"))
            & user.deleted_us.is_null()
            & (Version.asset != bind("asset"))
            & (Version.deleted_us.is_null(False) | Asset.deleted_us.is_null(False))
        )
        .limit(1)
    )


_PAGES = {
    (of_stage, deleted): Statement(partial(_page, of_stage, deleted))
    for of_stage in (False, True)
    for deleted in (False, True)
}
_BEHIND_ALL = 2**31
_BY_NUMBER = Statement(lambda: _of_asset(Version.number == bind("number")))
_LATEST = Statement(lambda: _of_asset(_LIVE).order_by(Version.number.desc()).limit(1))
_BY_DIGEST = Statement(
    lambda: (
        _of_asset(_LIVE, Version.digest == bind("digest")).order_by(Version.number.desc()).limit(1)
    )
)
_BY_STAGE = Statement(
    lambda: (
        _of_asset(_LIVE, Version.stage == bind("stage")).order_by(Version.number.desc()).limit(1)
    )
)
_BY_ALIAS = Statement(
    lambda: (
        Version.select(*COLUMNS)
        .join(Alias, on=(Alias.version == Version.id))
        .join(Asset, on=(Asset.id == Alias.asset))
        .where(_asset_is(), Alias.name == bind("alias"))
    )
)
_BY_ID = Statement(lambda: Version.select(*COLUMNS).where(Version.id == bind("id")))
_ADD = Statement(
    lambda: Version.insert(
        asset=bind("asset"),
        number=bind("number"),
        digest=bind("digest"),
        manifest=bind("manifest"),
        stage=bind("stage"),
        revision=1,
        purged=False,
        base=bind("base"),
        tail=bind("tail"),
        encoding_version=ENCODING_VERSION,
    )
)
_PUT = Statement(
    lambda: Version.update(
        stage=bind("stage"),
        revision=bind("revision"),
        deleted_us=bind("deleted_us"),
        purge_us=bind("purge_us"),
        purged=bind("purged"),
        base=bind("base"),
        tail=bind("tail"),
        encoding_version=ENCODING_VERSION,
    ).where(Version.id == bind("id"))
)
_PUT_TAIL = Statement(lambda: Version.update(tail=bind("tail")).where(Version.id == bind("id")))
_ADD_RECIPE = Statement(lambda: Recipe.insert(version=bind("version"), body=bind("body")))
_RECIPE = Statement(lambda: Recipe.select(Recipe.body).where(Recipe.version == bind("version")))
_ADD_INPUT = Statement(
    lambda: Input.insert(
        version=bind("version"),
        ordinal=bind("ordinal"),
        source=bind("source"),
        role=bind("role"),
    )
)
_MOVE_STAGE = Statement(
    lambda: StageMove.insert(
        asset=bind("asset"),
        number=bind("number"),
        position=bind("position"),
        version=bind("version"),
        stage=bind("stage"),
        log_us=bind("log_us"),
    ).on_conflict(
        # One event may make a version and move it: it counts where it ends.
        conflict_target=(StageMove.asset, StageMove.number, StageMove.position),
        update={StageMove.stage: bind("stage")},
    )
)
_HIGHEST_LIVE = Statement(
    lambda: Version.select(fn.MAX(Version.number)).where((Version.asset == bind("asset")) & _LIVE)
)
_LIVE_USERS = Statement(
    lambda: (
        Version.select(Asset.resource, Version.number)
        .distinct()
        .join(Input, on=(Input.version == Version.id))
        .join(Asset, on=(Asset.id == Version.asset))
        .where((Input.source == bind("version")) & _LIVE & Asset.deleted_us.is_null())
        .limit(bind("limit"))
    )
)
_LIVE_USERS_OF_ASSET = Statement(_live_users_of_asset)
_DELETED_INPUTS_OF_ASSET = Statement(_deleted_inputs_of_asset)
_INPUTS = Statement(
    lambda: (
        Version.select(Asset.resource, Version.number, Version.deleted_us, Asset.deleted_us)
        .join(Input, on=(Input.source == Version.id))
        .join(Asset, on=(Asset.id == Version.asset))
        .where(Input.version == bind("version"))
        .order_by(Input.ordinal)
    )
)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version's row."""

    id: int
    asset_id: int
    number: int
    manifest_id: int
    revision: int
    deleted_us: int | None
    purge_us: int | None
    purged: bool
    base: bytes
    tail: bytes

    def answer(self) -> bytes:
        """Serialize it as readers get it; `DataLossError` where that is no message."""
        body = self.base + self.tail
        read_stored(version_pb2.Version, body)
        return body

    def parsed(self) -> version_pb2.Version:
        """Read its message."""
        return read_stored(version_pb2.Version, self.base + self.tail)


def by_number(session: Session, name: VersionName) -> StoredVersion | None:
    """Find a version of a live asset by number, live or deleted."""
    return _one(session.row(_BY_NUMBER, asset=str(name.parent), number=name.number))


def latest(session: Session, name: AssetName) -> StoredVersion | None:
    """Find the live version with the highest number."""
    return _one(session.row(_LATEST, asset=str(name)))


def by_digest(session: Session, name: AssetName, digest: str) -> StoredVersion | None:
    """Find the live version of this digest with the highest number."""
    values = {"asset": str(name), "digest": digest_bytes(digest)}
    return _one(session.row(_BY_DIGEST, **values))


def by_stage(session: Session, name: AssetName, stage: int) -> StoredVersion | None:
    """Find the live version in this stage with the highest number."""
    return _one(session.row(_BY_STAGE, asset=str(name), stage=stage))


def by_alias(session: Session, name: AssetName, alias: str) -> StoredVersion | None:
    """Find the version that an alias points to."""
    return _one(session.row(_BY_ALIAS, asset=str(name), alias=alias))


def by_id(session: Session, version_id: int) -> StoredVersion | None:
    """Find a version by its row."""
    return _one(session.row(_BY_ID, id=version_id))


def page(
    session: Session, asset_id: int, below: int | None, stage: int, deleted: bool, limit: int
) -> Iterator[tuple[int, bytes]]:
    """List versions below a number, the highest first: their numbers, and they as readers get them.

    Of any stage where that is 0.
    """
    rows = session.each(
        _PAGES[bool(stage), deleted],
        asset=asset_id,
        below=_BEHIND_ALL if below is None else below,
        stage=stage,
        limit=limit,
    )
    return ((number, base + tail) for number, base, tail in rows)


def highest_live(session: Session, asset_id: int) -> int:
    """Tell the highest number of a live version, or 0."""
    row = session.row(_HIGHEST_LIVE, asset=asset_id)
    return (row[0] if row else None) or 0


def live_users(session: Session, version_id: int, limit: int) -> list[str]:
    """Name the live versions that this one is an input of."""
    rows = session.rows(_LIVE_USERS, version=version_id, limit=limit)
    return [_version_name(*row) for row in rows]


def live_users_of_asset(session: Session, asset_id: int, limit: int) -> list[str]:
    """Name the live versions of other assets that versions of this one are inputs of."""
    rows = session.rows(_LIVE_USERS_OF_ASSET, asset=asset_id, limit=limit)
    return [_version_name(*row) for row in rows]


def deleted_inputs(session: Session, version_id: int) -> list[str]:
    """Name the inputs of a version that are deleted, or whose asset is."""
    rows = session.rows(_INPUTS, version=version_id)
    return [_version_name(*row[:2]) for row in rows if row[2] is not None or row[3] is not None]


def deleted_inputs_of_asset(session: Session, asset_id: int) -> list[str]:
    """Name a deleted input of the asset's live versions, of another asset; at most one."""
    rows = session.rows(_DELETED_INPUTS_OF_ASSET, asset=asset_id)
    return [_version_name(*row) for row in rows]


def recipe(session: Session, version_id: int) -> bytes | None:
    """Find a version's recipe, serialized."""
    row = session.row(_RECIPE, version=version_id)
    return bytes(row[0]) if row else None


def add(
    tx: Transaction, asset: StoredAsset, manifest_id: int, version: version_pb2.Version
) -> StoredVersion:
    """Add a version, complete but for its etag."""
    version.etag = etag(1)
    base, tail = version_base(version), version_tail(version)
    version_id = tx.session.insert(
        _ADD,
        asset=asset.id,
        number=version.number,
        digest=digest_bytes(version.record.digest),
        manifest=manifest_id,
        stage=version.stage,
        base=base,
        tail=tail,
    )
    tx.note(version.name, 1, version_pb2.Version, None, version_body(version))
    stored = StoredVersion(
        version_id, asset.id, version.number, manifest_id, 1, None, None, False, base, tail
    )
    _move_stage(tx, stored, version.stage)
    return stored


def put(tx: Transaction, stored: StoredVersion, version: version_pb2.Version) -> StoredVersion:
    """Change a version: its own fields, its stage, or whether it is deleted."""
    before = stored.parsed()
    revision = stored.revision + 1
    version.etag = etag(revision)
    deleted = version.HasField("delete_time")
    changed = StoredVersion(
        stored.id,
        stored.asset_id,
        stored.number,
        stored.manifest_id,
        revision,
        microseconds(version.delete_time) if deleted else None,
        microseconds(version.purge_time) if deleted else None,
        version.purged,
        version_base(version),
        version_tail(version),
    )
    tx.session.put(
        _PUT,
        id=stored.id,
        stage=version.stage,
        revision=revision,
        deleted_us=changed.deleted_us,
        purge_us=changed.purge_us,
        purged=changed.purged,
        base=changed.base,
        tail=changed.tail,
    )
    tx.note(
        version.name, revision, version_pb2.Version, version_body(before), version_body(version)
    )
    stage = 0 if deleted else version.stage
    if stage != (0 if stored.deleted_us is not None else before.stage):
        _move_stage(tx, changed, stage)
    return changed


def put_aliases(tx: Transaction, version_id: int, names: Iterable[str]) -> None:
    """Write on a version which aliases point to it. The log has that under the alias."""
    stored = by_id(tx.session, version_id)
    if stored is not None:
        version = stored.parsed()
        version.aliases[:] = sorted(names, key=str.encode)
        tx.session.put(_PUT_TAIL, id=version_id, tail=version_tail(version))


def add_recipe(tx: Transaction, version_id: int, body: bytes) -> None:
    """Keep a version's recipe."""
    tx.session.put(_ADD_RECIPE, version=version_id, body=body)


def add_input(tx: Transaction, version_id: int, ordinal: int, source_id: int, role: int) -> None:
    """Keep an edge of the lineage between two versions."""
    tx.session.put(_ADD_INPUT, version=version_id, ordinal=ordinal, source=source_id, role=role)


def _move_stage(tx: Transaction, stored: StoredVersion, stage: int) -> None:
    tx.session.put(
        _MOVE_STAGE,
        asset=stored.asset_id,
        number=stored.number,
        position=tx.position,
        version=stored.id,
        stage=stage,
        log_us=tx.time_us,
    )


def _one(row: Row | None) -> StoredVersion | None:
    return StoredVersion(*row) if row else None


def _version_name(asset: str, number: int) -> str:
    return f"{asset}/versions/{number}"
