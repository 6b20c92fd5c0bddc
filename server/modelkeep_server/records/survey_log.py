"""The log and what is on it, a row at a time: what a check of it all reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from peewee import JOIN, fn

from modelkeep.errors import DataLossError
from modelkeep.v1 import version_pb2
from modelkeep_server.records import origin
from modelkeep_server.records.encode import message_bytes, read_stored, version_body
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import (
    Alias,
    AliasMove,
    Asset,
    AssetMove,
    Evaluation,
    Event,
    EventBody,
    EventScope,
    Namespace,
    Operation,
    Principal,
    Request,
    StageMove,
    Version,
)

_EVENTS = Statement(
    lambda: (
        Event.select(
            Event.position,
            Event.event_id,
            Event.log_us,
            Event.leaf,
            Event.leaf_hash,
            Event.reason,
            Event.reason_salt,
        )
        .where(Event.position > bind("after"))
        .order_by(Event.position)
    )
)
_BODIES = Statement(
    lambda: (
        EventBody.select(
            EventBody.ordinal,
            EventBody.before,
            EventBody.before_salt,
            EventBody.after,
            EventBody.after_salt,
        )
        .where(EventBody.position == bind("position"))
        .order_by(EventBody.ordinal)
    )
)
_LOST_BODIES = Statement(
    lambda: (
        EventBody.select(EventBody.position)
        .distinct()
        .join(Event, JOIN.LEFT_OUTER, on=(Event.position == EventBody.position))
        .where(Event.position.is_null())
    )
)
_LISTED = Statement(
    lambda: EventScope.select(EventScope.scope).where(
        (EventScope.scope == bind("scope")) & (EventScope.position == bind("position"))
    )
)
_LISTINGS = Statement(lambda: EventScope.select(fn.COUNT(EventScope.scope)))
_TWICE = Statement(
    lambda: (
        Event.select(Event.event_id).group_by(Event.event_id).having(fn.COUNT(Event.position) > 1)
    )
)
_LOST_ANSWERS = Statement(
    lambda: (
        Request.select(Request.method, Request.request_id, Request.event_id)
        .join(Event, JOIN.LEFT_OUTER, on=(Event.event_id == Request.event_id))
        .where((Request.event_id != "") & Event.position.is_null())
    )
)
_NAMESPACES = Statement(
    lambda: Namespace.select(Namespace.name, Namespace.revision, Namespace.message)
)
_ASSETS = Statement(lambda: Asset.select(Asset.resource, Asset.revision, Asset.message))
_VERSIONS = Statement(
    lambda: Version.select(
        Asset.resource, Version.number, Version.revision, Version.base, Version.tail
    ).join(Asset)
)
_ALIASES = Statement(
    lambda: Alias.select(
        Asset.resource, Alias.name, Alias.revision, Alias.version, Alias.message
    ).join(Asset)
)
_ALIAS_MOVES = Statement(
    lambda: (
        AliasMove.select(
            Asset.resource,
            AliasMove.name,
            AliasMove.position,
            AliasMove.version,
            AliasMove.principal,
            AliasMove.asset == Version.asset,
            Version.number,
        )
        .join(Asset, on=(Asset.id == AliasMove.asset))
        .join(Version, JOIN.LEFT_OUTER, on=(Version.id == AliasMove.version))
    )
)
_STAGE_MOVES = Statement(
    lambda: (
        StageMove.select(
            Asset.resource,
            StageMove.number,
            StageMove.position,
            StageMove.stage,
            (StageMove.asset == Version.asset) & (StageMove.number == Version.number),
        )
        .join(Asset, on=(Asset.id == StageMove.asset))
        .join(Version, JOIN.LEFT_OUTER, on=(Version.id == StageMove.version))
    )
)
_ASSET_MOVES = Statement(
    lambda: AssetMove.select(Asset.resource, AssetMove.position, AssetMove.deleted).join(
        Asset, on=(Asset.id == AssetMove.asset)
    )
)
_EVALUATIONS = Statement(
    lambda: Evaluation.select(
        Asset.resource, Evaluation.version_number, Evaluation.number, Evaluation.message
    ).join(Asset)
)
_PRINCIPALS = Statement(lambda: Principal.select(Principal.id, Principal.display_name))
_OPERATIONS = Statement(
    lambda: Operation.select(Operation.name, Operation.request).where(
        Operation.logged == True  # noqa: E712  # peewee's way to say it in SQL
    )
)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An entry of the log, as its row has it."""

    position: int
    event_id: str
    log_us: int
    leaf: bytes
    leaf_hash: bytes
    reason: str | None
    reason_salt: bytes | None


@dataclass(frozen=True, slots=True)
class StoredBody:
    """What one change was before and after, with what binds it to the leaf."""

    ordinal: int
    before: bytes | None
    before_salt: bytes | None
    after: bytes | None
    after_salt: bytes | None


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """A resource as readers get it, for the log to say the same; no body: it is no more."""

    resource: str
    revision: int
    body: bytes | None


def events(session: Session, after: int) -> Iterator[StoredEvent]:
    """Yield the log behind a position, by position."""
    return (StoredEvent(*row) for row in session.each(_EVENTS, after=after))


def bodies(session: Session, position: int) -> list[StoredBody]:
    """List the bodies of an event, by ordinal."""
    return [StoredBody(*row) for row in session.rows(_BODIES, position=position)]


def lost_bodies(session: Session) -> Iterator[int]:
    """Yield the positions at which there are bodies and no event."""
    return (position for (position,) in session.each(_LOST_BODIES))


def is_listed(session: Session, scope: str, position: int) -> bool:
    """Tell whether an event is found under a resource."""
    return session.row(_LISTED, scope=scope, position=position) is not None


def listings(session: Session) -> int:
    """Tell how often events are found under resources."""
    row = session.row(_LISTINGS)
    return row[0] if row else 0


def doubled_event_ids(session: Session) -> Iterator[str]:
    """Yield the ids that more than one event has."""
    return (event_id for (event_id,) in session.each(_TWICE))


def lost_answers(session: Session) -> Iterator[tuple[str, str, str]]:
    """Yield the answers kept for repeats whose event is not there: method, request and event."""
    return ((method, request, event) for method, request, event in session.each(_LOST_ANSWERS))


def logged(session: Session) -> Iterator[LoggedRow]:
    """Yield the rows of all that is on the log."""
    for name, revision, message in session.each(_NAMESPACES):
        yield LoggedRow(f"namespaces/{name}", revision, message)
    for resource, revision, message in session.each(_ASSETS):
        yield LoggedRow(resource, revision, message)
    for asset, number, revision, base, tail in session.each(_VERSIONS):
        yield LoggedRow(f"{asset}/versions/{number}", revision, _without_aliases(base + tail))
    for asset, name, revision, version, message in session.each(_ALIASES):
        live = version is not None
        yield LoggedRow(f"{asset}/aliases/{name}", revision, message if live else None)
    for asset, version, number, message in session.each(_EVALUATIONS):
        yield LoggedRow(f"{asset}/versions/{version}/evaluations/{number}", 1, message)
    for name, request in session.each(_OPERATIONS):
        yield LoggedRow(f"operations/{name}", 1, request)
    log = origin.read(session)
    if log.revision:
        yield LoggedRow(origin.RESOURCE, log.revision, message_bytes(log))


def principals(session: Session) -> Iterator[tuple[str, str]]:
    """Yield the principals that have a name: id and name."""
    return ((principal, name) for principal, name in session.each(_PRINCIPALS))


def moves(session: Session) -> Iterator[tuple[str, int, str]]:
    """Yield the history: a resource, the position of what moved it, and what that was."""
    for asset, name, position, version, principal, own, number in session.each(_ALIAS_MOVES):
        target = f"{asset}/versions/{number}" if own else "another's" if version else ""
        yield f"{asset}/aliases/{name}", position, alias_move(target, principal)
    for asset, number, position, stage, own in session.each(_STAGE_MOVES):
        yield f"{asset}/versions/{number}", position, stage_move(stage if own else None)
    for asset, position, deleted in session.each(_ASSET_MOVES):
        yield asset, position, asset_move(bool(deleted))


def alias_move(version: str, principal: str) -> str:
    """Write a move of an alias to a version, or to none."""
    return f"it was pointed to {version} by {principal}" if version else f"removed by {principal}"


def stage_move(stage: int | None) -> str:
    """Write a move of a version to a stage; 0: it was deleted, none: it was another's."""
    return f"stage {stage}" if stage is not None else "another version's stage"


def asset_move(deleted: bool) -> str:
    """Write an asset's deletion, or the end of one."""
    return "deleted" if deleted else "undeleted"


def _without_aliases(message: bytes) -> bytes:
    try:
        return version_body(read_stored(version_pb2.Version, message))
    except DataLossError:
        return message
