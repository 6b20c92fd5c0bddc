"""What was when: the moves of stages, aliases and assets, asked as of a time."""

from dataclasses import dataclass

from peewee import Query, Select, fn

from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import AliasMove, AssetMove, StageMove, Version

_NUMBER = Statement(
    lambda: Version.select(Version.id).where(
        (Version.asset == bind("asset")) & (Version.number == bind("number"))
    )
)
_ALIAS = Statement(
    lambda: (
        AliasMove.select(AliasMove.version)
        .where(
            (AliasMove.asset == bind("asset"))
            & (AliasMove.name == bind("name"))
            & (AliasMove.log_us <= bind("time_us"))
        )
        .order_by(AliasMove.position.desc())
        .limit(1)
    )
)
_ASSET = Statement(
    lambda: (
        AssetMove.select(AssetMove.deleted)
        .where((AssetMove.asset == bind("asset")) & (AssetMove.log_us <= bind("time_us")))
        .order_by(AssetMove.position.desc())
        .limit(1)
    )
)
# Being deleted is a move too, from one stage to none: so the last two tell all.
_LIFE = Statement(
    lambda: (
        StageMove.select(StageMove.stage, StageMove.log_us)
        .where(
            (StageMove.asset == bind("asset"))
            & (StageMove.number == bind("number"))
            & (StageMove.log_us <= bind("time_us"))
        )
        .order_by(StageMove.position.desc())
        .limit(2)
    )
)


@dataclass(frozen=True, slots=True)
class Life:
    """A version's stage, and when it was deleted if it was; in microseconds since 1970 UTC."""

    stage: int
    deleted_us: int | None


def _last_of_each_alias() -> Select:
    return (
        AliasMove.select(AliasMove.name, fn.MAX(AliasMove.position).alias("position"))
        .where((AliasMove.asset == bind("asset")) & (AliasMove.log_us <= bind("time_us")))
        .group_by(AliasMove.name)
    )


def _aliases() -> Query:
    last = _last_of_each_alias()
    return (
        AliasMove.select(AliasMove.name)
        .join(
            last,
            on=((AliasMove.name == last.c.name) & (AliasMove.position == last.c.position)),
        )
        .where((AliasMove.asset == bind("asset")) & (AliasMove.version == bind("version")))
        .order_by(AliasMove.name)
    )


_ALIASES = Statement(_aliases)


def _last_of_each_version() -> Select:
    return (
        StageMove.select(StageMove.number, fn.MAX(StageMove.position).alias("position"))
        .where((StageMove.asset == bind("asset")) & (StageMove.log_us <= bind("time_us")))
        .group_by(StageMove.number)
    )


def _highest(*where: object) -> Query:
    last = _last_of_each_version()
    return (
        StageMove.select(StageMove.version)
        .join(
            last,
            on=((StageMove.number == last.c.number) & (StageMove.position == last.c.position)),
        )
        .join(Version, on=(Version.id == StageMove.version))
        .where((StageMove.asset == bind("asset")), *where)
        .order_by(StageMove.number.desc())
        .limit(1)
    )


_LATEST = Statement(lambda: _highest(StageMove.stage != 0))
_IN_STAGE = Statement(lambda: _highest(StageMove.stage == bind("stage")))
_OF_DIGEST = Statement(lambda: _highest(StageMove.stage != 0, Version.digest == bind("digest")))


def asset_deleted(session: Session, asset_id: int, time_us: int) -> bool:
    """Tell whether an asset was deleted."""
    row = session.row(_ASSET, asset=asset_id, time_us=time_us)
    return bool(row and row[0])


def number(session: Session, asset_id: int, number: int) -> int | None:
    """Find the version of a number."""
    row = session.row(_NUMBER, asset=asset_id, number=number)
    return row[0] if row else None


def alias(session: Session, asset_id: int, name: str, time_us: int) -> int | None:
    """Find the version that an alias pointed to."""
    row = session.row(_ALIAS, asset=asset_id, name=name, time_us=time_us)
    return row[0] if row else None


def life(session: Session, asset_id: int, number: int, time_us: int) -> Life | None:
    """Tell a version's stage and whether it was deleted; nothing where it did not exist."""
    moves = session.rows(_LIFE, asset=asset_id, number=number, time_us=time_us)
    if not moves:
        return None
    stage, log_us = moves[0]
    return Life(stage, None) if stage else Life(moves[1][0], log_us)


def aliases(session: Session, asset_id: int, version_id: int, time_us: int) -> list[str]:
    """Name the aliases that pointed to a version."""
    rows = session.rows(_ALIASES, asset=asset_id, version=version_id, time_us=time_us)
    return [name for (name,) in rows]


def latest(session: Session, asset_id: int, time_us: int) -> int | None:
    """Find the live version with the highest number."""
    row = session.row(_LATEST, asset=asset_id, time_us=time_us)
    return row[0] if row else None


def in_stage(session: Session, asset_id: int, stage: int, time_us: int) -> int | None:
    """Find the live version in a stage with the highest number."""
    row = session.row(_IN_STAGE, asset=asset_id, stage=stage, time_us=time_us)
    return row[0] if row else None


def of_digest(session: Session, asset_id: int, digest: bytes, time_us: int) -> int | None:
    """Find the live version of a digest with the highest number."""
    row = session.row(_OF_DIGEST, asset=asset_id, digest=digest, time_us=time_us)
    return row[0] if row else None
