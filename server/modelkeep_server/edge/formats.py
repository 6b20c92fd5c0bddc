"""The forms of strings that the contract's rules name."""

import re
from collections.abc import Callable
from functools import lru_cache

from modelkeep import names
from modelkeep.errors import InvalidArgumentError
from modelkeep.v1 import options_pb2 as options

Check = Callable[[str, str], None]
"""Refuses a text that hasn't the form; told the field's path too."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EVENT = re.compile(r"events/([1-9][0-9]{0,18})")
_COLLECTION = re.compile(r"[a-z][A-Za-z]{0,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MAX_POSITION = 2**63 - 1


def check_text(text: str, field: str) -> None:
    """Refuse control characters other than line feed and tab."""
    if text.isprintable():
        return
    if bad := _CONTROL.search(text):
        raise InvalidArgumentError(
            "FIELD_INVALID",
            f"{names.shown(text)} has U+{ord(bad[0]):04X}; of control characters only line feed "
            "and tab are allowed",
            field=field,
        )


def _resource(parse: Callable[[str, str], object]) -> Check:
    """Remember which names were right: the same few are asked for again and again."""
    right = lru_cache(maxsize=8192)(lambda text: parse(text, "") and None)

    def check(text: str, field: str) -> None:
        try:
            right(text)
        except InvalidArgumentError:
            parse(text, field)

    return check


def _blob_parent(text: str, field: str) -> object:
    kind = names.AssetName if text.count("/") > 1 else names.NamespaceName
    return kind.parse(text, field)


def _asset_or_version(text: str, field: str) -> object:
    kind = names.VersionName if text.count("/") > 3 else names.AssetName
    return kind.parse(text, field)


def _namespace_or_all(text: str, field: str) -> object:
    return text == "namespaces/-" or names.NamespaceName.parse(text, field)


def _prefix(text: str, field: str) -> None:
    parts = text.split("/")
    if parts[0] != "namespaces" or len(parts) % 2:
        raise _invalid("NAME_INVALID", text, field, "the name of a namespace or of what is in one")
    for collection, name in zip(parts[::2], parts[1::2], strict=True):
        if not _COLLECTION.fullmatch(collection):
            raise _invalid("NAME_INVALID", text, field, "a resource's name")
        names.check_name(name, field)


def _operation(text: str, field: str) -> None:
    _in_collection("operations", text, field)


def _principal(text: str, field: str) -> None:
    _in_collection("principals", text, field)


def _in_collection(collection: str, text: str, field: str) -> None:
    head, _, name = text.partition("/")
    if head != collection:
        raise _invalid("NAME_INVALID", text, field, f"{collection}/ and a name")
    names.check_name(name, field)


def _event(text: str, field: str) -> None:
    found = _EVENT.fullmatch(text)
    if not found or int(found[1]) > _MAX_POSITION:
        raise _invalid("NAME_INVALID", text, field, "events/ and a position, from 1")


def _uuid(text: str, field: str) -> None:
    if not _UUID.fullmatch(text):
        raise _invalid("FIELD_INVALID", text, field, "a UUID of 36 characters")


def _invalid(reason: str, text: str, field: str, form: str) -> InvalidArgumentError:
    shown = names.shown(text)
    return InvalidArgumentError(reason, f"{shown} is not {form}", field=field, value=shown)


CHECKS: dict[int, Check] = {
    options.FORMAT_UNSPECIFIED: check_text,
    options.FORMAT_NAMESPACE: _resource(names.NamespaceName.parse),
    options.FORMAT_ASSET: _resource(names.AssetName.parse),
    options.FORMAT_VERSION: _resource(names.VersionName.parse),
    options.FORMAT_VERSION_SELECTOR: _resource(names.VersionSelector.parse),
    options.FORMAT_ALIAS: _resource(names.AliasName.parse),
    options.FORMAT_BLOB_PARENT: _resource(_blob_parent),
    options.FORMAT_NAMESPACE_OR_ALL: _resource(_namespace_or_all),
    options.FORMAT_NAME: names.check_name,
    options.FORMAT_ALIAS_NAME: names.check_alias,
    options.FORMAT_KEY: names.check_key,
    options.FORMAT_DIGEST: names.check_digest,
    options.FORMAT_PATH: names.check_path,
    options.FORMAT_UUID: _uuid,
    options.FORMAT_EVENT: _event,
    options.FORMAT_OPERATION: _operation,
    options.FORMAT_PRINCIPAL: _principal,
    options.FORMAT_RESOURCE_PREFIX: _prefix,
    options.FORMAT_EVALUATION: _resource(names.EvaluationName.parse),
    options.FORMAT_ASSET_OR_VERSION: _resource(_asset_or_version),
}

RESOURCES = frozenset(
    {
        options.FORMAT_NAMESPACE,
        options.FORMAT_ASSET,
        options.FORMAT_VERSION,
        options.FORMAT_VERSION_SELECTOR,
        options.FORMAT_ALIAS,
        options.FORMAT_BLOB_PARENT,
        options.FORMAT_NAMESPACE_OR_ALL,
        options.FORMAT_EVENT,
        options.FORMAT_OPERATION,
        options.FORMAT_PRINCIPAL,
        options.FORMAT_RESOURCE_PREFIX,
        options.FORMAT_EVALUATION,
        options.FORMAT_ASSET_OR_VERSION,
    }
)
"""The forms that name a resource."""
