"""Operations to handles."""

from collections.abc import Iterator
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.message import Message

from modelkeep._types import Finding, Operation
from modelkeep.v1 import admin_service_pb2, artifact_service_pb2

_KINDS: dict[str, tuple[str, type[Message]]] = {
    message.DESCRIPTOR.full_name: (kind, message)
    for kind, message in (
        ("collect-garbage", admin_service_pb2.CollectGarbageMetadata),
        ("verify-registry", admin_service_pb2.VerifyRegistryMetadata),
        ("seal", artifact_service_pb2.SealManifestMetadata),
    )
}


def operation(message: operations_pb2.Operation) -> Operation:
    """Read an operation; of a kind that is newer than this release, no progress is known."""
    type_name = message.metadata.TypeName()
    kind, metadata_type = _KINDS.get(type_name, (type_name, None))
    metadata = metadata_type.FromString(message.metadata.value) if metadata_type else None
    return Operation(
        name=message.name,
        kind=kind,
        done=message.done,
        dry_run=bool(getattr(metadata, "dry_run", False)),
        error=message.error.message if message.HasField("error") else "",
        progress=dict(_counts(metadata)) if metadata is not None else {},
        findings=_findings(message),
    )


def _findings(message: operations_pb2.Operation) -> tuple[Finding, ...]:
    response = admin_service_pb2.VerifyRegistryResponse()
    if not message.response.Unpack(response):
        return ()
    return tuple(Finding(one.what, one.resource, one.text) for one in response.findings)


def _counts(message: Any) -> Iterator[tuple[str, int]]:
    """Yield all numbers of a message and of those in it, by the names of their fields."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is None and type(value) is int:
            yield field.name, value
        elif field.message_type is not None and field.message_type.file.package == "modelkeep.v1":
            yield from _counts(value)
