"""Which version a selector means, now or as of a time."""

from modelkeep.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from modelkeep.names import AssetName, VersionName, VersionSelector
from modelkeep.v1 import version_pb2
from modelkeep_server.domain import assets
from modelkeep_server.records import history, versions
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.encode import digest_bytes, timestamp
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.versions import StoredVersion

# `production` is an alias; the other stages have no pointer, so the highest number answers.
_STAGES = {
    "development": version_pb2.STAGE_DEVELOPMENT,
    "testing": version_pb2.STAGE_TESTING,
    "staging": version_pb2.STAGE_STAGING,
    "archived": version_pb2.STAGE_ARCHIVED,
}


def version(session: Session, selector: VersionSelector) -> StoredVersion:
    """Find the version that a selector means now, or refuse."""
    return _find(session, selector) or _found_or_refused(session, selector)


def numbered(session: Session, name: VersionName) -> StoredVersion:
    """Find a version by its number, also a deleted one, or refuse."""
    return version(session, VersionSelector(name.namespace, name.asset, number=name.number))


def check_live(stored: StoredVersion) -> None:
    """Refuse a version that is deleted."""
    if stored.deleted_us is not None:
        raise deleted(stored.parsed().name)


def deleted(name: str) -> FailedPreconditionError:
    """Say that a version is deleted."""
    return FailedPreconditionError(
        "VERSION_DELETED", f"{name} is deleted; undelete it first", resource=name
    )


def version_as_of(records: Records, selector: VersionSelector, time_us: int) -> version_pb2.Version:
    """Find the version that a selector meant then, with its stage and aliases then."""
    _check_past(time_us, max(now_us(), records.log_time_us()))
    records.settle(time_us)
    session = records.read()
    asset = assets.get(session, selector.parent)
    if history.asset_deleted(session, asset.id, time_us):
        when = f" as of {timestamp(time_us).ToJsonString()}"
        raise assets.deleted(asset.resource, when)
    version_id = _find_then(session, asset.id, selector, time_us)
    stored = versions.by_id(session, version_id) if version_id else None
    then = history.life(session, asset.id, stored.number, time_us) if stored else None
    if stored is None or then is None:
        raise _not_found(selector, time_us)
    answer = stored.parsed()
    answer.ClearField("etag")
    answer.stage = version_pb2.Stage.ValueType(then.stage)
    if then.deleted_us != stored.deleted_us:
        answer.ClearField("delete_time")
        answer.ClearField("purge_time")
    if then.deleted_us is not None:
        answer.delete_time.CopyFrom(timestamp(then.deleted_us))
    answer.aliases[:] = history.aliases(session, asset.id, stored.id, time_us)
    return answer


def _found_or_refused(session: Session, selector: VersionSelector) -> StoredVersion:
    """Say why there is none, of one state: the asset may have come back since it was looked for."""
    with session.one_state():
        found = _find(session, selector)
        if found is None:
            assets.live(session, selector.parent)
            raise _not_found(selector)
        return found


def _find(session: Session, selector: VersionSelector) -> StoredVersion | None:
    name = selector.parent
    if selector.number is not None:
        number = VersionName(name.namespace, name.asset, selector.number)
        return versions.by_number(session, number)
    if selector.alias is not None:
        stage = _STAGES.get(selector.alias)
        if stage is not None:
            return versions.by_stage(session, name, stage)
        return versions.by_alias(session, name, selector.alias)
    if selector.digest is not None:
        return versions.by_digest(session, name, selector.digest)
    return versions.latest(session, name)


def _find_then(
    session: Session, asset_id: int, selector: VersionSelector, time_us: int
) -> int | None:
    if selector.number is not None:
        return history.number(session, asset_id, selector.number)
    if selector.alias is not None:
        stage = _STAGES.get(selector.alias)
        if stage is not None:
            return history.in_stage(session, asset_id, stage, time_us)
        return history.alias(session, asset_id, selector.alias, time_us)
    if selector.digest is not None:
        return history.of_digest(session, asset_id, digest_bytes(selector.digest), time_us)
    return history.latest(session, asset_id, time_us)


def _check_past(time_us: int, now: int) -> None:
    if time_us > now:
        raise InvalidArgumentError(
            "TIME_IN_FUTURE",
            "the time asked for is later than now",
            field="as_of_time",
            now=timestamp(now).ToJsonString(),
        )


def _not_found(selector: VersionSelector, time_us: int | None = None) -> NotFoundError:
    when = f" as of {timestamp(time_us).ToJsonString()}" if time_us is not None else ""
    name = AssetName(selector.namespace, selector.asset)
    return NotFoundError(
        "RESOURCE_NOT_FOUND",
        f"{name} has no version {selector.selector}{when}",
        resource=selector,
    )
