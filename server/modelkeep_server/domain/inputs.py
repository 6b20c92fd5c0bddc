"""Inputs: what a version was made from, or uses.

* A version named as an input exists and is live; its digest is filled in.
* Something outside is named by URI, and must say its digest.
* The same input in the same role is named once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from modelkeep.names import VersionName
from modelkeep.v1 import asset_pb2, version_pb2
from modelkeep_server.domain import assets, resolve
from modelkeep_server.records.encode import message_bytes
from modelkeep_server.records.sql import Session


@dataclass(frozen=True, slots=True)
class Edge:
    """An input that was checked, and the row of its version if it is one."""

    message: version_pb2.Input
    source_id: int | None


def checked(session: Session, wanted: Iterable[version_pb2.Input]) -> list[Edge]:
    """Fill in a version's inputs, or refuse them."""
    edges: dict[bytes, Edge] = {}
    for index, one in enumerate(wanted):
        edge = checked_one(session, one, f"version.record.inputs[{index}]")
        if edges.setdefault(message_bytes(edge.message), edge) is not edge:
            raise InvalidArgumentError(
                "FIELD_INVALID",
                f"{edge.message.version or edge.message.uri} is named twice in the same role",
                field=f"version.record.inputs[{index}]",
            )
    return list(edges.values())


def checked_one(session: Session, wanted: version_pb2.Input, field: str) -> Edge:
    """Fill in one input, which stands in a field of the request, or refuse it."""
    if wanted.WhichOneof("source") == "version":
        return _version(session, field, wanted)
    if not wanted.uri or not wanted.digest:
        raise InvalidArgumentError(
            "FIELD_REQUIRED",
            "an input is a `version`, or a `uri` with its `digest`",
            field=field,
        )
    role = wanted.role or version_pb2.INPUT_ROLE_USES
    return Edge(version_pb2.Input(uri=wanted.uri, digest=wanted.digest, role=role), None)


def _version(session: Session, field: str, wanted: version_pb2.Input) -> Edge:
    name = VersionName.parse(wanted.version, f"{field}.version")
    asset = assets.live(session, name.parent)
    stored = resolve.numbered(session, name)
    if stored.deleted_us is not None:
        raise FailedPreconditionError(
            "VERSION_DELETED",
            f"{name} is deleted; undelete it first",
            field=f"{field}.version",
            resource=name,
        )
    role = wanted.role or (
        version_pb2.INPUT_ROLE_TRAINED_ON
        if asset.kind == asset_pb2.ASSET_KIND_DATASET
        else version_pb2.INPUT_ROLE_USES
    )
    digest = stored.parsed().record.digest
    if wanted.digest and wanted.digest != digest:
        raise NotFoundError(
            "RESOURCE_NOT_FOUND",
            f"{name} has the digest {digest}, not {wanted.digest}",
            field=f"{field}.digest",
            resource=name,
        )
    return Edge(version_pb2.Input(version=str(name), digest=digest, role=role), stored.id)
