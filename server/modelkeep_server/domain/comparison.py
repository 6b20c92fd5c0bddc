"""What differs between two versions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from modelkeep.v1 import recipe_pb2, version_pb2, version_service_pb2
from modelkeep_server.records import manifests
from modelkeep_server.records.encode import read_stored
from modelkeep_server.records.manifests import StoredFile
from modelkeep_server.records.sql import Session

MOST_BYTES = 512 * 1024
"""Of what differs between two recipes, in one answer."""

_BATCH = 1_000


def values(
    before: Mapping[str, object], after: Mapping[str, object]
) -> list[version_service_pb2.ValueChange]:
    """List the keys whose values differ in value or type, as JSON."""
    changes = []
    for key in sorted({*before, *after}):
        old, new = _json(before, key), _json(after, key)
        if old != new:
            changes.append(version_service_pb2.ValueChange(key=key, before=old, after=new))
    return changes


def within_room(
    changes: list[version_service_pb2.ValueChange],
) -> tuple[list[version_service_pb2.ValueChange], bool]:
    """Keep what there is room for in one answer, and tell whether anything was left out."""
    room = MOST_BYTES
    kept: list[version_service_pb2.ValueChange] = []
    for change in changes:
        room -= change.ByteSize()
        if room < 0:
            return kept, True
        kept.append(change)
    return kept, False


def parameters(record: version_pb2.VersionRecord) -> dict[str, object]:
    """Read a record's parameters, so that the integer 1 is not the double 1.0."""
    return {
        key: getattr(value, str(value.WhichOneof("value")), None)
        for key, value in record.parameters.items()
    }


def recipe(stored: bytes | None) -> dict[str, object]:
    """Flatten a recipe to paths and values; packages go by their names."""
    content = MessageToDict(
        read_stored(recipe_pb2.Recipe, stored or b""), preserving_proto_field_name=True
    )
    environment = content.get("environment", {})
    if "packages" in environment:
        environment["packages"] = _packages(environment["packages"])
    return dict(_flat("", content))


def files(
    session: Session, base: int, other: int, after: str, limit: int
) -> list[version_service_pb2.FileChange]:
    """List at most `limit` files that differ behind a path, by path."""
    changes: list[version_service_pb2.FileChange] = []
    left, right = _Files(session, base, after), _Files(session, other, after)
    while len(changes) < limit and (left.head or right.head):
        path = min(file.path for file in (left.head, right.head) if file is not None)
        before, now = left.take(path), right.take(path)
        if before is None or now is None or before.digest != now.digest:
            changes.append(
                version_service_pb2.FileChange(
                    path=path,
                    before=file_message(before) if before else None,
                    after=file_message(now) if now else None,
                )
            )
    return changes


def file_message(file: StoredFile) -> version_service_pb2.File:
    """Make a file's message."""
    return version_service_pb2.File(path=file.path, digest=file.digest, size=file.size)


class _Files:
    """A manifest's files in order, read in batches."""

    def __init__(self, session: Session, manifest_id: int, after: str) -> None:
        self._files = self._read(session, manifest_id, after)
        self.head = next(self._files, None)

    def take(self, path: str) -> StoredFile | None:
        """Take the file of this path, if it is the next."""
        head = self.head
        if head is None or head.path != path:
            return None
        self.head = next(self._files, None)
        return head

    def _read(self, session: Session, manifest_id: int, after: str) -> Iterator[StoredFile]:
        while batch := manifests.files(session, manifest_id, after, _BATCH):
            yield from batch
            after = batch[-1].path


def _packages(packages: list[dict[str, Any]]) -> dict[str, str]:
    """Give each package's version and hashes by its name; all of them, where it is there twice."""
    found: dict[str, list[str]] = {}
    for package in packages:
        text = " ".join([package.get("version", ""), *sorted(package.get("hashes", []))])
        found.setdefault(package["name"], []).append(text)
    return {name: ", ".join(sorted(texts)) for name, texts in found.items()}


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            name = key.replace("\\", "\\\\").replace(".", "\\.")
            yield from _flat(f"{prefix}.{name}" if prefix else name, part)
    elif prefix:
        yield prefix, value


def _json(content: Mapping[str, object], key: str) -> str | None:
    return json.dumps(content[key], ensure_ascii=False, sort_keys=True) if key in content else None
