"""Messages to handles, and a push's handles to messages."""

from typing import Any

from modelkeep import _convert_values as values
from modelkeep import _types as types
from modelkeep.names import EvaluationName
from modelkeep.v1 import (
    access_service_pb2,
    admin_service_pb2,
    alias_pb2,
    asset_pb2,
    evaluation_pb2,
    namespace_pb2,
    version_pb2,
    version_service_pb2,
)


def namespace(message: namespace_pb2.Namespace) -> types.Namespace:
    """Read a namespace."""
    return types.Namespace(
        name=message.name,
        display_name=message.display_name,
        description=message.description,
        labels=dict(message.labels),
        undelete_period=message.undelete_period.ToTimedelta(),
        creator=message.creator,
        create_time=values.time(message.create_time),
        update_time=values.time(message.update_time),
        etag=message.etag,
    )


def asset(message: asset_pb2.Asset) -> types.Asset:
    """Read an asset."""
    return types.Asset(
        name=message.name,
        kind=values.kind_word(message.kind),
        display_name=message.display_name,
        description=message.description,
        labels=dict(message.labels),
        latest_number=message.latest_number,
        version_count=message.version_count,
        size=message.size,
        creator=message.creator,
        create_time=values.time(message.create_time),
        update_time=values.time(message.update_time),
        delete_time=values.time_or_none(message.delete_time),
        purge_time=values.time_or_none(message.purge_time),
        etag=message.etag,
    )


def version(message: version_pb2.Version) -> types.Version:
    """Read a version."""
    record = message.record
    return types.Version(
        name=message.name,
        number=message.number,
        digest=record.digest,
        stage=values.stage_word(message.stage),
        aliases=tuple(message.aliases),
        params={k: values.parameter_scalar(v) for k, v in sorted(record.parameters.items())},
        metrics=dict(sorted(record.metrics.items())),
        labels=dict(sorted(message.labels.items())),
        display_name=message.display_name,
        description=message.description,
        change_note=record.change_note,
        author=record.author,
        create_time=values.time(record.create_time),
        update_time=values.time(message.update_time),
        delete_time=values.time_or_none(message.delete_time),
        purge_time=values.time_or_none(message.purge_time),
        purged=message.purged,
        file_count=record.file_count,
        size=record.size,
        inputs=tuple(_input(item) for item in record.inputs),
        flavor=_flavor(record.flavor) if record.HasField("flavor") else None,
        signature=_signature(record.signature) if record.HasField("signature") else None,
        recipe_digest=record.recipe_digest,
        restored_from=record.restored_from,
        record_digest=message.record_digest,
        etag=message.etag,
    )


def evaluation(message: evaluation_pb2.Evaluation) -> types.Evaluation:
    """Read an evaluation."""
    return types.Evaluation(
        name=message.name,
        version=str(EvaluationName.parse(message.name).version),
        number=message.number,
        metrics=dict(sorted(message.metrics.items())),
        slices={one.name: dict(sorted(one.metrics.items())) for one in message.slices},
        data_set=_input(message.data_set) if message.HasField("data_set") else None,
        measure_time=values.time(message.measure_time),
        note=message.note,
        evaluator=message.evaluator,
        create_time=values.time(message.create_time),
    )


def _input(message: version_pb2.Input) -> types.Input:
    return types.Input(
        version=message.version,
        uri=message.uri,
        digest=message.digest,
        role=values.role_word(message.role),
    )


def _flavor(message: version_pb2.Flavor) -> types.Flavor:
    return types.Flavor(message.name, message.version, dict(message.options))


def _signature(message: version_pb2.Signature) -> types.Signature:
    return types.Signature(
        tuple(_field(item) for item in message.inputs),
        tuple(_field(item) for item in message.outputs),
    )


def _field(message: version_pb2.Field) -> types.Field:
    return types.Field(
        dtype=message.dtype,
        name=message.name,
        shape=tuple(message.shape),
        optional=message.optional,
        description=message.description,
    )


def flavor_message(flavor: types.Flavor | str | None) -> version_pb2.Flavor | None:
    """Write a flavour; a text is its name."""
    if flavor is None:
        return None
    if isinstance(flavor, str):
        return version_pb2.Flavor(name=flavor)
    return version_pb2.Flavor(
        name=flavor.name, version=flavor.version, options=dict(flavor.options)
    )


def signature_message(signature: types.Signature | None) -> version_pb2.Signature | None:
    """Write a signature."""
    if signature is None:
        return None
    return version_pb2.Signature(
        inputs=[_field_message(item) for item in signature.inputs],
        outputs=[_field_message(item) for item in signature.outputs],
    )


def _field_message(field: types.Field) -> version_pb2.Field:
    return version_pb2.Field(
        name=field.name,
        dtype=field.dtype,
        shape=list(field.shape),
        optional=field.optional,
        description=field.description,
    )


def alias(message: alias_pb2.Alias) -> types.Alias:
    """Read an alias."""
    return types.Alias(
        name=message.name,
        version=message.version,
        updater=message.updater,
        update_time=values.time(message.update_time),
        etag=message.etag,
    )


def alias_change(message: alias_pb2.AliasChange) -> types.AliasChange:
    """Read a move of an alias."""
    return types.AliasChange(
        alias=message.alias,
        version=message.version,
        principal=message.principal,
        log_time=values.time(message.log_time),
        event=message.event,
    )


def file(message: version_service_pb2.File) -> types.File:
    """Read a file."""
    return types.File(message.path, message.digest, message.size)


def principal(message: access_service_pb2.Principal) -> types.Principal:
    """Read a principal."""
    return types.Principal(message.name, message.display_name, values.time(message.create_time))


def server_info(message: admin_service_pb2.ServerInfo) -> types.ServerInfo:
    """Read what a server is."""
    limits: Any = message.limits
    return types.ServerInfo(
        version=message.version,
        open=message.open,
        time=values.time(message.time),
        log_position=message.log_position,
        limits={field.name: getattr(limits, field.name) for field in limits.DESCRIPTOR.fields},
    )
