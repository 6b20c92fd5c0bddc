"""Entries of the log to handles."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from modelkeep import _convert
from modelkeep import _convert_values as values
from modelkeep import _types as types
from modelkeep._handle import Handle
from modelkeep.v1 import alias_pb2, asset_pb2, evaluation_pb2, event_pb2, namespace_pb2, version_pb2

_HANDLES: dict[str, tuple[type[Any], Callable[[Any], Handle]]] = {
    message.DESCRIPTOR.full_name: (message, read)
    for message, read in (
        (namespace_pb2.Namespace, _convert.namespace),
        (asset_pb2.Asset, _convert.asset),
        (version_pb2.Version, _convert.version),
        (alias_pb2.Alias, _convert.alias),
        (evaluation_pb2.Evaluation, _convert.evaluation),
    )
}


def event(message: event_pb2.Event, who: str) -> types.Event:
    """Read an event; `who` is its principal's display name."""
    record = message.record
    bodies = [*message.bodies, *[event_pb2.EventBody()] * len(record.changes)]
    return types.Event(
        name=message.name,
        position=message.position,
        log_time=values.time(message.log_time),
        act=record.act,
        principal=record.principal,
        who=who or record.principal,
        reason=message.reason,
        changes=tuple(
            _change(change, body) for change, body in zip(record.changes, bodies, strict=False)
        ),
        method=record.method,
        request_id=record.request_id,
        event_id=record.event_id,
        act_time=values.time(record.act_time),
    )


def _change(change: event_pb2.Change, body: event_pb2.EventBody) -> types.Change:
    return types.Change(
        resource=change.resource,
        revision=change.revision,
        before=_body(body.before),
        after=_body(body.after),
    )


def _body(body: AnyMessage) -> Mapping[str, Any] | None:
    kind, read = _HANDLES.get(body.TypeName(), (None, None))
    if not body.type_url:
        return None
    try:
        if kind is None or read is None:
            return MessageToDict(body, preserving_proto_field_name=True)
        return read(kind.FromString(body.value)).to_dict()
    except (TypeError, DecodeError):  # a kind that is newer than this release
        return {"type": body.TypeName()}
