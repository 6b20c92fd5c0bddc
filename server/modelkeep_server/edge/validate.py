"""Requests against the contract's field rules, before any service sees them.

Each message's checks are made once, from its descriptor; a field without a rule costs nothing but
its look at control characters.

* `REQUIRED` means set: a text that is not empty, a list with an entry, a message that is there.
  (A number can't be told from one that is not there.) Not asked for in an update's resource,
  whose mask says what counts.
* `OUTPUT_ONLY` fields are not looked at. A resource's own name (`IDENTIFIER`) is looked at in
  `Update…Request` alone, where it says which.
* Of a part's oneof, one must be set; a request's own oneof is its service's matter.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from google.api.field_behavior_pb2 import (
    IDENTIFIER,
    OUTPUT_ONLY,
    REQUIRED,
    field_behavior,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from modelkeep.v1 import options_pb2 as options
from modelkeep_server.edge import bounds, known_types
from modelkeep_server.edge.bounds import Check
from modelkeep_server.edge.formats import CHECKS

FieldCheck = Callable[[Message, str], None]
"""Refuses a message for one of its fields; told the path before the field's name."""

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_FLOATS = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}


def request(descriptor: Descriptor) -> Callable[[Message], None]:
    """Give what refuses a request of this kind that breaks its rules."""
    checks = tuple(_field_checks(descriptor, _is_update(descriptor), within=False))

    def check(message: Message) -> None:
        for field_check in checks:
            field_check(message, "")

    return check


def _is_update(descriptor: Descriptor) -> bool:
    return descriptor.name.startswith("Update") and descriptor.name.endswith("Request")


@cache
def _message(descriptor: Descriptor, update: bool) -> Check:
    """Give the check of a message within another; of the resource, where it is an update's."""
    known = known_types.CHECKS.get(descriptor.full_name)
    if known is not None:
        return known
    checks: list[FieldCheck] = []

    def check(message: Message, path: str) -> None:
        for field_check in checks:
            field_check(message, f"{path}.")

    checks += _field_checks(descriptor, update, within=True)
    return check


def _field_checks(descriptor: Descriptor, update: bool, within: bool) -> Iterator[FieldCheck]:
    for oneof in descriptor.oneofs if within else ():
        if not _is_synthetic(oneof.fields):
            yield _one_of(oneof.name, [field.name for field in oneof.fields])
    for field in descriptor.fields:
        behaviors = field.GetOptions().Extensions[field_behavior]
        if OUTPUT_ONLY in behaviors or (IDENTIFIER in behaviors and not update):
            continue
        resource = within and update
        needed = IDENTIFIER in behaviors or (REQUIRED in behaviors and not resource)
        check = _field(field, update and not within)
        if needed or check:
            yield _present(field, needed, check)


def _is_synthetic(fields: Sequence[FieldDescriptor]) -> bool:
    return len(fields) == 1 and fields[0].has_presence and fields[0].message_type is None


def _one_of(oneof: str, fields: list[str]) -> FieldCheck:
    def check(message: Message, before: str) -> None:
        if message.WhichOneof(oneof) is None:
            raise bounds.required(before + fields[0], f"one of {', '.join(fields)} must be set")

    return check


def _present(field: FieldDescriptor, needed: bool, check: Check | None) -> FieldCheck:
    """Look at a field only where it is set; refuse it where it is needed and isn't."""
    name = field.name
    if field.has_presence:

        def check_presence(message: Message, before: str) -> None:
            if message.HasField(name):
                if check:
                    check(getattr(message, name), before + name)
            elif needed:
                raise bounds.required(before + name, f"{before + name} is required")

        return check_presence
    countable = field.is_repeated or field.cpp_type == FieldDescriptor.CPPTYPE_STRING

    def check_value(message: Message, before: str) -> None:
        value = getattr(message, name)
        if value:
            if check:
                check(value, before + name)
        elif needed and countable:
            raise bounds.required(before + name, f"{before + name} is required")

    return check_value


def _field(field: FieldDescriptor, update: bool) -> Check | None:
    rule = _rule(field)
    if field.message_type and field.message_type.GetOptions().map_entry:
        return _map(field.message_type, rule)
    value = _value(field, rule, update)
    if not field.is_repeated:
        return value
    return _list(rule, value)


def _rule(field: FieldDescriptor) -> options.FieldRule | None:
    given = field.GetOptions()
    return given.Extensions[options.rule] if given.HasExtension(options.rule) else None


def _list(rule: options.FieldRule | None, check: Check | None) -> Check | None:
    limit = rule.max_items if rule else 0
    if not limit and not check:
        return None

    def check_list(values: Any, path: str) -> None:
        if limit and len(values) > limit:
            raise bounds.too_many(path, limit, len(values))
        if check:
            for index, value in enumerate(values):
                check(value, f"{path}[{index}]")

    return check_list


def _map(entry: Descriptor, rule: options.FieldRule | None) -> Check:
    limit = rule.max_items if rule else 0
    key_check = CHECKS[rule.format if rule else options.FORMAT_UNSPECIFIED]
    value_rule = options.FieldRule(
        max_bytes=rule.max_value_bytes if rule else 0, finite=rule.finite if rule else False
    )
    value_check = _value(entry.fields_by_name["value"], value_rule, update=False)

    def check_map(values: Any, path: str) -> None:
        if limit and len(values) > limit:
            raise bounds.too_many(path, limit, len(values))
        for key in values:
            key_check(key, path)
            if value_check:
                value_check(values[key], f"{path}[{key}]")

    return check_map


def _value(field: FieldDescriptor, rule: options.FieldRule | None, update: bool) -> Check | None:
    """Give the check of one value, or nothing where every value is right."""
    if field.message_type:
        return bounds.sized(_message(field.message_type, update), rule)
    if field.enum_type:
        return bounds.enum({value.number for value in field.enum_type.values})
    if field.type == FieldDescriptor.TYPE_STRING:
        check = CHECKS[rule.format if rule else options.FORMAT_UNSPECIFIED]
        return bounds.short(rule.max_bytes, check) if rule and rule.max_bytes else check
    if rule and rule.HasField("min_value") and field.cpp_type in _INTEGERS:
        return bounds.at_least(rule.min_value)
    if rule and rule.finite and field.cpp_type in _FLOATS:
        return bounds.finite
    return None
