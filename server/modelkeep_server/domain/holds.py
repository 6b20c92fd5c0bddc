"""What keeps a version from being deleted: production, an alias, or a live version made from it."""

from collections.abc import Sequence

from modelkeep.errors import FailedPreconditionError
from modelkeep.v1 import version_pb2
from modelkeep_server.records import aliases, versions
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.sql import Session
from modelkeep_server.records.versions import StoredVersion

_SHOWN = 20


def check_version(session: Session, asset: StoredAsset, stored: StoredVersion) -> None:
    """Refuse to delete a version that something holds."""
    version = stored.parsed()
    holders = [asset.alias_name(name) for name in aliases.of_version(session, stored.id)]
    if version.stage == version_pb2.STAGE_PRODUCTION and not holders:
        holders.append("the stage production")
    holders += versions.live_users(session, stored.id, _SHOWN + 1)
    _check(version.name, holders)


def check_asset(session: Session, asset: StoredAsset) -> None:
    """Refuse to delete an asset while a version of it is held from outside, or by an alias."""
    holders = [asset.alias_name(name) for name in aliases.of_asset(session, asset, _SHOWN + 1)]
    holders += versions.live_users_of_asset(session, asset.id, _SHOWN + 1)
    _check(asset.resource, holders)


def _check(resource: str, holders: Sequence[str]) -> None:
    if holders:
        shown = ", ".join(holders[:_SHOWN])
        more = ", …" if len(holders) > _SHOWN else ""
        raise FailedPreconditionError(
            "VERSION_HELD",
            f"{resource} can't be deleted while it is held by {shown}{more}; release it first",
            resource=resource,
            holders=",".join(holders[:_SHOWN]),
            count=len(holders),
        )
