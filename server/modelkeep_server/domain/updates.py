"""Updates: which fields a mask may name, and whose state an etag speaks of."""

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from modelkeep.errors import AbortedError, InvalidArgumentError


def apply_mask(
    current: Message, wanted: Message, mask: FieldMask, changeable: frozenset[str]
) -> bool:
    """Copy the fields that the mask names, and tell whether that changed anything."""
    if not mask.paths:
        raise _invalid("", "update_mask is empty", changeable)
    before = current.SerializeToString(deterministic=True)
    for path in mask.paths:
        if path not in changeable:
            raise _invalid(path, f"{path[:80]!a} can't be changed", changeable)
        current.ClearField(path)
        part = type(current)()
        _copy_field(part, wanted, path)
        current.MergeFrom(part)
    return current.SerializeToString(deterministic=True) != before


def check_etag(resource: str, actual: str, wanted: str) -> None:
    """Refuse a write that rests on a state which has changed since."""
    if wanted and wanted != actual:
        raise AbortedError(
            "ETAG_MISMATCH",
            f"{resource} was changed since it was read; read it again and decide anew",
            resource=resource,
            etag=wanted,
            actual=actual,
        )


def _copy_field(part: Message, wanted: Message, path: str) -> None:
    mask = FieldMask(paths=[path])
    mask.MergeMessage(wanted, part, replace_message_field=True, replace_repeated_field=True)


def _invalid(path: str, why: str, changeable: frozenset[str]) -> InvalidArgumentError:
    names = ", ".join(sorted(changeable))
    return InvalidArgumentError(
        "UPDATE_MASK_INVALID",
        f"{why}; what can be is {names}",
        field="update_mask",
        path=path[:80],
    )
