"""Assets, versions and aliases, a row at a time: what a check of it all reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from peewee import JOIN, fn

from modelkeep_server.records import assets as asset_rows
from modelkeep_server.records import versions as version_rows
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import digest_text
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.survey import BEFORE_ALL
from modelkeep_server.records.tables import (
    Alias,
    AliasMove,
    Asset,
    AssetMove,
    Event,
    EventScope,
    Input,
    Manifest,
    Namespace,
    Recipe,
    Scope,
    StageMove,
    Version,
)
from modelkeep_server.records.versions import StoredVersion

_NAMESPACES = Statement(
    lambda: Namespace.select(
        Namespace.name, Namespace.folded, Namespace.revision, Namespace.message
    ).order_by(Namespace.id)
)
_ASSETS = Statement(
    lambda: (
        Asset.select(
            Namespace.name,
            Asset.folded,
            *asset_rows.COLUMNS,
        )
        .join(Namespace, JOIN.LEFT_OUTER)
        .where(Asset.id > bind("after"))
        .order_by(Asset.id)
    )
)
_VERSIONS = Statement(
    lambda: (
        Version.select(
            Version.digest,
            Version.stage,
            Manifest.digest,
            Manifest.file_count,
            Manifest.size,
            Manifest.sealed,
            Scope.name,
            Recipe.body,
            *version_rows.COLUMNS,
        )
        .join(Manifest, JOIN.LEFT_OUTER)
        .join(Scope, JOIN.LEFT_OUTER)
        .join(Recipe, JOIN.LEFT_OUTER, on=(Recipe.version == Version.id))
        .where(Version.asset == bind("asset"))
        .order_by(Version.number)
    )
)
_INPUTS = Statement(
    lambda: (
        Input.select(
            Input.ordinal,
            Asset.resource,
            Version.number,
            Input.role,
            Version.digest,
            Version.deleted_us.is_null() & Asset.deleted_us.is_null(),
        )
        .join(Version, on=(Version.id == Input.source))
        .join(Asset)
        .where(Input.version == bind("version"))
        .order_by(Input.ordinal)
    )
)
_ALIASES = Statement(
    lambda: (
        Alias.select(
            Alias.name,
            Alias.folded,
            Alias.revision,
            Alias.message,
            Alias.version,
            Version.asset,
            Version.number,
            Version.deleted_us,
        )
        .join(Version, JOIN.LEFT_OUTER)
        .where(Alias.asset == bind("asset"))
        .order_by(Alias.name)
    )
)
_ALIAS_MOVES = Statement(
    lambda: AliasMove.select(fn.COUNT(AliasMove.position), fn.MAX(AliasMove.position)).where(
        (AliasMove.asset == bind("asset")) & (AliasMove.name == bind("name"))
    )
)
_ALIAS_MOVE = Statement(
    lambda: AliasMove.select(AliasMove.version, AliasMove.principal, AliasMove.log_us).where(
        (AliasMove.asset == bind("asset"))
        & (AliasMove.name == bind("name"))
        & (AliasMove.position == bind("position"))
    )
)
_STAGE_MOVE = Statement(
    lambda: (
        StageMove.select(StageMove.version, StageMove.stage)
        .where((StageMove.asset == bind("asset")) & (StageMove.number == bind("number")))
        .order_by(StageMove.position.desc())
        .limit(1)
    )
)


_ASSET_MOVE = Statement(
    lambda: (
        AssetMove.select(AssetMove.deleted)
        .where(AssetMove.asset == bind("asset"))
        .order_by(AssetMove.position.desc())
        .limit(1)
    )
)


def _untold(move: type[AliasMove] | type[StageMove] | type[AssetMove], resource: Any) -> Statement:
    """Find the moves of a resource that no event of its, at their time, is for."""
    return Statement(
        lambda: (
            move.select(resource, move.position)
            .join(Asset)
            .join(
                EventScope,
                JOIN.LEFT_OUTER,
                on=((EventScope.scope == resource) & (EventScope.position == move.position)),
            )
            .join(
                Event,
                JOIN.LEFT_OUTER,
                on=((Event.position == EventScope.position) & (Event.log_us == move.log_us)),
            )
            .where(Event.position.is_null())
        )
    )


_UNTOLD = (
    _untold(AliasMove, Asset.resource.concat("/aliases/").concat(AliasMove.name)),
    _untold(StageMove, Asset.resource.concat("/versions/").concat(StageMove.number)),
    _untold(AssetMove, Asset.resource),
)


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """A namespace's row."""

    name: str
    folded: str
    revision: int
    message: bytes


@dataclass(frozen=True, slots=True)
class AssetRow:
    """An asset's row, with the name of the namespace that it refers to."""

    namespace: str
    folded: str
    asset: StoredAsset


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version's row, with the manifest and the recipe that it refers to.

    `content` is the manifest's digest, file count and size in bytes, and nothing where it is not
    there or not sealed; `scope` is where it was sealed.
    """

    digest: str
    stage: int
    content: tuple[str, int, int] | None
    scope: str
    recipe: bytes | None
    version: StoredVersion


@dataclass(frozen=True, slots=True)
class InputRow:
    """An edge of the lineage, with what its source is."""

    ordinal: int
    source: str
    role: int
    digest: str
    live: bool


@dataclass(frozen=True, slots=True)
class AliasRow:
    """An alias's row, with the version that it points to, if it does."""

    name: str
    folded: str
    revision: int
    message: bytes
    version_id: int | None
    asset_id: int | None
    number: int | None
    deleted_us: int | None


@dataclass(frozen=True, slots=True)
class LastMove:
    """The last move of an alias: the version's row, who and when, and how many there are."""

    version_id: int | None
    principal: str
    log_us: int
    count: int


def namespaces(session: Session) -> Iterator[NamespaceRow]:
    """Yield all namespaces."""
    return (NamespaceRow(*row) for row in session.each(_NAMESPACES))


def assets(session: Session, after: int = BEFORE_ALL) -> Iterator[AssetRow]:
    """Yield all assets; those behind a row."""
    for namespace, folded, *asset in session.each(_ASSETS, after=after):
        yield AssetRow(namespace, folded, StoredAsset(*asset))


def versions(session: Session, asset_id: int) -> Iterator[VersionRow]:
    """Yield an asset's versions, by number."""
    for row in session.each(_VERSIONS, asset=asset_id):
        digest, stage, content, count, size, sealed, scope, recipe, *version = row
        manifest = (digest_text(content), count, size) if sealed else None
        yield VersionRow(
            digest_text(digest), stage, manifest, scope, recipe, StoredVersion(*version)
        )


def inputs(session: Session, version_id: int) -> list[InputRow]:
    """List a version's inputs that are versions."""
    return [
        InputRow(ordinal, f"{asset}/versions/{number}", role, digest_text(digest), bool(live))
        for ordinal, asset, number, role, digest, live in session.rows(_INPUTS, version=version_id)
    ]


def aliases(session: Session, asset_id: int) -> Iterator[AliasRow]:
    """Yield an asset's aliases, the removed ones too."""
    return (AliasRow(*row) for row in session.each(_ALIASES, asset=asset_id))


def last_alias_move(session: Session, asset_id: int, name: str) -> LastMove | None:
    """Find the last move of an alias."""
    count, position = session.row(_ALIAS_MOVES, asset=asset_id, name=name) or (0, None)
    row = session.row(_ALIAS_MOVE, asset=asset_id, name=name, position=position)
    return LastMove(row[0], row[1], row[2], count) if row else None


def last_stage_move(session: Session, asset_id: int, number: int) -> tuple[int, int] | None:
    """Find the last move of a version: its row, and the stage, 0 where it was deleted."""
    row = session.row(_STAGE_MOVE, asset=asset_id, number=number)
    return (row[0], row[1]) if row else None


def last_asset_move(session: Session, asset_id: int) -> bool:
    """Tell whether an asset's history ends with its being deleted."""
    row = session.row(_ASSET_MOVE, asset=asset_id)
    return bool(row and row[0])


def untold_moves(session: Session) -> Iterator[tuple[str, int]]:
    """Yield the moves of aliases and stages that their event does not know: name and position."""
    for statement in _UNTOLD:
        yield from ((resource, position) for resource, position in session.each(statement))
