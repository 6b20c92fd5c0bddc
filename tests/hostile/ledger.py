"""What OK answers claim, held against what lies in the data folder.

Neither side may have more than the other: a row, a blob or an event that no answer accounts for
was left by a call that was refused; an answer without its rows lost what it acknowledged.

A call that its caller broke off may have happened or not. Writes are asked again at the end, with
their `request_id`, so that each has its answer; of uploads and seals, which have none, the rows
that they may have made are allowed, and not asked for.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from google.longrunning.operations_pb2 import Operation
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from tests.hostile.shots import Shot
from tests.hostile.volley import Answered

from modelkeep.v1 import artifact_service_pb2 as artifacts
from modelkeep.v1 import event_pb2

UPLOAD, SEAL = "UploadBlobs", "SealManifest"


@dataclass
class Claims:
    """Who may say that something is there: what OK answers said, and what broken calls may say."""

    events: set[str] = field(default_factory=set)
    kept: set[tuple[str, str, str]] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)
    seals: set[tuple[str, str]] = field(default_factory=set)
    maybe_blobs: set[str] = field(default_factory=set)
    maybe_seals: set[tuple[str, str]] = field(default_factory=set)
    unsure: list[Shot] = field(default_factory=list)

    def heed(self, answered: Answered) -> None:
        """Take an answer for what it says."""
        shot = answered.shot
        if shot.method.name == UPLOAD:
            self._heed_upload(answered)
        elif shot.method.name == SEAL:
            self._heed_seal(answered)
        elif answered.code == "OK":
            self._heed_write(answered)
        elif shot.is_broken_off and _request_id(shot):
            self.unsure.append(shot)

    def _heed_write(self, answered: Answered) -> None:
        shot = answered.shot
        if answered.event_id:
            self.events.add(answered.event_id)
        if request_id := _request_id(shot):
            self.kept.add((shot.user, shot.method.full_name, request_id))

    def _heed_upload(self, answered: Answered) -> None:
        for raw in answered.answers:
            found = artifacts.UploadBlobsResponse.FromString(raw)
            self.blobs |= {blob.digest for blob in found.blobs if blob.complete}
        for raw in answered.shot.messages:
            self.maybe_blobs |= set(_digests(raw))

    def _heed_seal(self, answered: Answered) -> None:
        shot = answered.shot
        for raw in answered.answers:
            if Operation.FromString(raw).done:
                self.seals.add(_seal(shot.messages[0]))
        if shot.is_broken_off or answered.code == "CANCELLED":
            self.maybe_seals.add(_seal(shot.messages[0]))


@dataclass(frozen=True)
class Held:
    """What lies in a data folder."""

    events: set[str]
    kept: int
    blobs: set[str]
    seals: set[tuple[str, str]]
    parts: set[str]
    named: set[str]
    changed: set[str]
    strays: set[str]


def held(data: Path) -> Held:
    """Read a stopped server's data folder, past all of modelkeep's own code."""
    with closing(apsw.Connection(str(data / "modelkeep.db"))) as connection:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return list(connection.execute(sql))

        keys = {
            str(key) for (key,) in rows("SELECT key FROM blob UNION SELECT key FROM staged_part")
        }
        seals = rows("SELECT s.name, m.digest FROM manifest m JOIN scope s ON s.id = m.scope_id")
        return Held(
            events={str(event) for (event,) in rows("SELECT event_id FROM event")},
            kept=len(rows("SELECT 1 FROM request")),
            blobs={_digest(digest) for (digest,) in rows("SELECT digest FROM blob")},
            seals={(str(scope), _digest(digest)) for scope, digest in seals},
            parts={_digest(digest) for (digest,) in rows("SELECT digest FROM staged_part")},
            named={str(name) for (name,) in rows(_NAMED)},
            changed=set(_changed(rows("SELECT leaf FROM event"))),
            strays={file for file in _files(data) if file not in keys},
        )


def differences(before: Held, after: Held, claims: Claims) -> dict[str, set[object] | int]:
    """Tell what is there that nobody claims, and what is claimed and not there."""
    made, blobs = after.events - before.events, after.blobs - before.blobs
    seals = after.seals - before.seals
    found: dict[str, set[object] | int] = {
        "events without an answer": set(made - claims.events),
        "answers without their event": set(claims.events - after.events),
        "kept answers beyond those given": after.kept - before.kept - len(claims.kept),
        "blobs without an answer": set(blobs - claims.blobs - claims.maybe_blobs),
        "answers without their blob": set(claims.blobs - after.blobs),
        "manifests without an answer": set(seals - claims.seals - claims.maybe_seals),
        "answers without their manifest": set(claims.seals - after.seals),
        "parts of blobs that nobody began": set(after.parts - claims.maybe_blobs),
        "resources that no event made": set(after.named - after.changed),
        "files that no row names": set(after.strays),
    }
    return {what: which for what, which in found.items() if which}


_NAMED = """
SELECT 'namespaces/' || name FROM namespace
UNION SELECT resource FROM asset
UNION SELECT a.resource || '/versions/' || v.number FROM version v JOIN asset a ON a.id = v.asset_id
UNION SELECT a.resource || '/aliases/' || l.name FROM alias l JOIN asset a ON a.id = l.asset_id
UNION SELECT 'a move at ' || position FROM (
    SELECT position FROM alias_move UNION SELECT position FROM stage_move
    UNION SELECT position FROM event_body UNION SELECT position FROM event_scope
) WHERE position NOT IN (SELECT position FROM event)
UNION SELECT 'a recipe of ' || version_id FROM recipe
    WHERE version_id NOT IN (SELECT id FROM version)
"""


def _changed(leaves: list[tuple[Any, ...]]) -> Iterator[str]:
    for (leaf,) in leaves:
        assert isinstance(leaf, bytes)
        record = event_pb2.EventRecord.FromString(event_pb2.LogLeaf.FromString(leaf).event)
        yield from (change.resource for change in record.changes)


def _digest(raw: Any) -> str:
    assert isinstance(raw, bytes)
    return f"sha256:{raw.hex()}"


def _files(data: Path) -> Iterator[str]:
    yield from (file.name for file in os.scandir(data / "staging"))
    for shard in os.scandir(data / "blobs"):
        yield from (file.name for file in os.scandir(shard.path))


def _request_id(shot: Shot) -> str:
    try:
        request = GetMessageClass(shot.method.input_type).FromString(shot.messages[0])
    except (DecodeError, IndexError):
        return ""
    return str(getattr(request, "request_id", ""))


def _digests(raw: bytes) -> Iterator[str]:
    try:
        request = artifacts.UploadBlobsRequest.FromString(raw)
    except DecodeError:
        return
    yield request.header.digest
    yield from (blob.digest for blob in request.pack.blobs)


def _seal(raw: bytes) -> tuple[str, str]:
    request = artifacts.SealManifestRequest.FromString(raw)
    return request.parent, request.digest
