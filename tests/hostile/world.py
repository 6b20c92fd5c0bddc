"""A filled registry, and requests that it could well be sent: made from the contract alone."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.api.field_behavior_pb2 import IDENTIFIER, OUTPUT_ONLY, REQUIRED, field_behavior
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from tests.services.wire import Registry, chunk, digest, header, manifest, pack

from modelkeep.v1 import options_pb2 as options
from modelkeep.v1 import recipe_pb2
from modelkeep.v1 import version_service_pb2 as versions

UPLOAD = "modelkeep.v1.ArtifactService.UploadBlobs"
USERS = ("ann", "bob", "cy")
ASSETS = ("churn", "Fraud-2", "a.b_c")
LOOSE = "loose"
ALIASES = ("champion", "production", "a1", "x-y")
MASKS = ("display_name", "description", "labels", "*", "display_name,labels")


@dataclass
class World:
    """What a registry holds, by the format that names it."""

    names: dict[int, list[str]]
    sealed: list[tuple[str, str]] = field(default_factory=list)
    unsealed: list[tuple[str, str]] = field(default_factory=list)

    def request(self, rng: random.Random, method: MethodDescriptor) -> list[Message]:
        """Make a request, or a stream's requests, that may well be right."""
        if method.full_name == UPLOAD:
            return list(_upload(rng, rng.choice(self.names[options.FORMAT_NAMESPACE])))
        message = GetMessageClass(method.input_type)()
        self._fill(rng, message, method.input_type.name.startswith("Update"))
        if isinstance(message, versions.CreateVersionRequest):
            message.parent, message.version.record.digest = rng.choice(self.sealed)
            message.create_asset = True
            message.ClearField("kind")  # which the asset has already
        elif method.name == "SealManifest" and rng.random() < 0.7:
            _set(message, *rng.choice(self.unsealed))
        return [message] * (rng.randint(1, 3) if method.client_streaming else 1)

    def _fill(self, rng: random.Random, message: Message, update: bool, depth: int = 0) -> None:
        for one in message.DESCRIPTOR.fields:
            behaviors = one.GetOptions().Extensions[field_behavior]
            if OUTPUT_ONLY in behaviors or (IDENTIFIER in behaviors and not update):
                continue
            needed = REQUIRED in behaviors or IDENTIFIER in behaviors
            if not needed and (depth > 3 or rng.random() < 0.6):
                continue
            self._set(rng, message, one, update, depth)

    def _set(
        self, rng: random.Random, message: Message, one: Any, update: bool, depth: int
    ) -> None:
        found: Any = getattr(message, one.name)
        inner = one.message_type
        if inner and inner.GetOptions().map_entry:
            entry = inner.fields_by_name["value"]
            if entry.message_type:
                self._fill_one(rng, found[self.text(rng, one)], depth)
            else:
                found[self.text(rng, one)] = self._scalar(rng, entry)
        elif inner and one.is_repeated:
            self._fill(rng, found.add(), update, depth + 1)
        elif inner and inner.full_name in _KNOWN:
            _KNOWN[inner.full_name](rng, found)
        elif inner:
            found.SetInParent()
            self._fill(rng, found, update, depth + 1)
        elif one.is_repeated:
            found.append(self._scalar(rng, one))
        else:
            setattr(message, one.name, self._scalar(rng, one))

    def _fill_one(self, rng: random.Random, message: Any, depth: int) -> None:
        self._set(rng, message, rng.choice(message.DESCRIPTOR.fields), False, depth + 1)

    def _scalar(self, rng: random.Random, one: FieldDescriptor) -> object:
        if one.type == FieldDescriptor.TYPE_STRING:
            return self.text(rng, one)
        if one.enum_type:
            return rng.choice(one.enum_type.values).number
        if one.type == FieldDescriptor.TYPE_BYTES:
            return rng.randbytes(5)
        if one.type == FieldDescriptor.TYPE_BOOL:
            return rng.random() < 0.5
        if one.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
            return rng.choice((0.5, -1e9, 3.0))
        return rng.randint(0, 4)

    def text(self, rng: random.Random, one: FieldDescriptor) -> str:
        """Make a text that a field may well have."""
        if one.name in ("etag", "page_token"):
            return ""
        given = one.GetOptions().Extensions[options.rule].format
        if given == options.FORMAT_UUID:
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        if given == options.FORMAT_NAME:
            return f"n{rng.getrandbits(40):x}"
        if given in self.names:
            return rng.choice(self.names[given])
        return rng.choice(("", "x", "é", "two words", "a" * 60))


def fill(registry: Registry, manifests: int) -> World:
    """Fill a registry, and tell what it holds; so many manifests wait to be sealed."""
    spaces = ["namespaces/default", registry.name, registry.make_namespace()]
    world = World({}, unsealed=[], sealed=[])
    for name in spaces:
        there = Registry(registry.channel, name.removeprefix("namespaces/"))
        for asset in ASSETS:
            for number in range(6):
                made = there.create(asset, {"a/b.bin": b"%d" % number, "c": b"c" * 5000})
                world.sealed.append((there.asset(asset), made.record.digest))
            for number, alias in enumerate(ALIASES, 1):
                there.set_alias(alias, number, asset)
        for _ in range(2):  # held by no alias, so that they can be deleted
            loose = there.create(LOOSE, recipe=recipe_pb2.Recipe(command="train"))
        world.sealed.append((there.asset(LOOSE), loose.record.digest))
        world.unsealed += _manifests(there, manifests // len(spaces))
    world.names = _names(registry, spaces)
    return world


def _names(registry: Registry, spaces: list[str]) -> dict[int, list[str]]:
    kept = [f"{space}/assets/{asset}" for space in spaces for asset in ASSETS]
    assets = [*kept, *(f"{space}/assets/{LOOSE}" for space in spaces)]
    numbered = [f"{asset}/versions/{number}" for asset in assets for number in range(1, 9)]
    pointed = [f"{asset}/versions/@{alias}" for asset in kept for alias in ALIASES]
    evaluations = [f"{version}/evaluations/{n}" for version in numbered[:8] for n in (1, 2)]
    aliases = [f"{asset}/aliases/{alias}" for asset in kept for alias in ALIASES]
    operation = registry.seal_text(manifest({"f": b"c" * 5000}), registry.name)[-1].name
    return {
        options.FORMAT_NAMESPACE: spaces,
        options.FORMAT_NAMESPACE_OR_ALL: [*spaces, "namespaces/-"],
        options.FORMAT_ASSET: assets,
        options.FORMAT_VERSION: numbered,
        options.FORMAT_VERSION_SELECTOR: [*numbered, *pointed, f"{assets[0]}/versions/latest"],
        options.FORMAT_ALIAS: aliases,
        options.FORMAT_ALIAS_NAME: list(ALIASES),
        options.FORMAT_BLOB_PARENT: [*spaces, *assets],
        options.FORMAT_KEY: ["team", "auc", "a/b"],
        options.FORMAT_DIGEST: [digest(b"c" * 5000), digest(b"0"), digest(b"nowhere")],
        options.FORMAT_PATH: ["a/b.bin", "c", "nowhere"],
        options.FORMAT_EVENT: [f"events/{position}" for position in range(1, 30)],
        options.FORMAT_OPERATION: [operation],
        options.FORMAT_PRINCIPAL: ["principals/me"],
        options.FORMAT_RESOURCE_PREFIX: [*spaces, *assets, *numbered],
        options.FORMAT_EVALUATION: evaluations,
        options.FORMAT_ASSET_OR_VERSION: [*assets, *numbered],
    }


def _manifests(there: Registry, count: int) -> list[tuple[str, str]]:
    texts = [manifest({f"{number}": b"c" * 5000}) for number in range(count)]
    there.push_blobs(*texts)
    return [(there.name, digest(text)) for text in texts]


def _upload(rng: random.Random, parent: str) -> list[Message]:
    """A stream of packs and blobs."""
    found: list[Message] = []
    for _ in range(rng.randint(1, 3)):
        data = rng.randbytes(rng.choice((0, 1, 900, 20_000)))
        if rng.random() < 0.5:
            found.append(pack(parent, data))
        else:
            found.append(header(parent, digest(data), len(data)))
            half = len(data) // 2
            found += [chunk(part) for part in (data[:half], data[half:]) if part]
    return found


def _set(message: Any, parent: str, name: str) -> None:
    message.parent, message.digest = parent, name


_KNOWN: dict[str, Callable[[random.Random, Any], None]] = {
    "google.protobuf.Timestamp": lambda rng, time_: time_.FromSeconds(
        int(time.time()) - rng.choice((0, 5))
    ),
    "google.protobuf.FieldMask": lambda rng, mask: mask.paths.extend(rng.choice(MASKS).split(",")),
    "google.protobuf.Struct": lambda rng, struct: struct.update({"lr": rng.random(), "l": [1]}),
    "google.protobuf.Any": lambda rng, any_: None,
}
