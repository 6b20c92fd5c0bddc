"""Whether an answer of the server is the model's answer.

What only the server knows (times, etags, principals, event ids) is learned where it's first seen;
from then on one thing of the model is one thing of the server, and two are two.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from tests.rounds import check_kept
from tests.truth.requests import CONTENTS, DIGESTS, RECIPE, kind
from tests.truth.things import NOT_TOLD, Asset, Entry, Input, Seen, SeenAlias

from modelkeep.digests import recipe_digest
from modelkeep.v1 import alias_pb2, asset_pb2, event_pb2, version_pb2

_RECIPE_DIGEST = recipe_digest(RECIPE)
_UNDELETE_US = 30 * 24 * 3600 * 1_000_000


class Symbols:
    """Which of the server's values stands for which of the model's, in one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._values: dict[tuple[str, Any], Any] = {}
        self._keys: dict[tuple[str, Any], Any] = {}

    def agree(self, what: str, key: Any, value: Any) -> Any:
        """Learn that this stands for that, or hold it to what was learned."""
        learned = self._values.setdefault((what, key), value)
        assert learned == value, f"{what} {key} is {learned}, now {value}"
        other = self._keys.setdefault((what, value), key)
        assert other == key, f"{what} {value} is that of {other}, and of {key} too"
        return value

    def etag(self, resource: str, revision: int) -> str:
        """Give the etag that a revision has; a wrong one where it was not seen."""
        return str(self._values.get((f"etag of {resource}", revision), "r0"))

    def check(self, expected: Any, got: Any) -> None:
        """Hold an answer, or the entries of a list, to the model's."""
        if isinstance(expected, list):
            check_kept(len(got) >= len(expected), f"{len(got)} entries, not {len(expected)}")
            assert len(got) == len(expected), f"{len(got)} entries, not {len(expected)}"
            for one, other in zip(expected, got, strict=True):
                self.check(one, other)
        else:
            checks: dict[type, Callable[[Any, Any], None]] = {
                Seen: self.version,
                Asset: self.asset,
                SeenAlias: self.alias,
                tuple: self.move,
            }
            checks[type(expected)](expected, got)

    def version(self, seen: Seen, got: version_pb2.Version) -> None:
        """Hold an answer to the version that the model saw."""
        version, own = seen.version, f"{seen.asset}/versions/{seen.version.number}"
        expected = version_pb2.Version(
            name=f"{self._namespace}/assets/{own}",
            number=version.number,
            record=self._record(seen, got.record),
            record_digest=self.agree("record digest", own, got.record_digest),
            display_name=version.display_name,
            description=version.description,
            labels=version.labels,
            stage=version_pb2.Stage.Value(f"STAGE_{version.stage}"),
            aliases=seen.aliases,
            update_time=self._time(version.updated, got.update_time),
            purged=version.purged is not None,
        )
        if version.revision is not None:
            expected.etag = self.agree(f"etag of {own}", version.revision, got.etag)
        if version.deleted is not None:
            expected.delete_time.CopyFrom(self._time(version.deleted, got.delete_time))
            if seen.released is None:
                expected.purge_time.FromMicroseconds(
                    got.delete_time.ToMicroseconds() + _UNDELETE_US
                )
            elif seen.released != NOT_TOLD:
                expected.purge_time.CopyFrom(self._time(seen.released, got.purge_time))
        assert got == expected

    def asset(self, asset: Asset, got: asset_pb2.Asset) -> None:
        """Hold an answer to the model's asset, its counters included."""
        kept = [_size(v.digest) for v in asset.versions.values() if v.purged is None]
        expected = asset_pb2.Asset(
            name=f"{self._namespace}/assets/{asset.name}",
            kind=kind(asset.kind),
            display_name=asset.display_name,
            description=asset.description,
            labels=asset.labels,
            creator=self.agree("principal", asset.creator, got.creator),
            create_time=self._time(asset.created, got.create_time),
            update_time=self._time(asset.updated, got.update_time),
            etag=self.agree(f"etag of {asset.name}", asset.revision, got.etag),
            latest_number=max((version.number for version in asset.live), default=0),
            version_count=len(asset.live),
            size=sum(kept),
        )
        if asset.deleted is not None:
            expected.delete_time.CopyFrom(self._time(asset.deleted, got.delete_time))
            expected.purge_time.FromMicroseconds(got.delete_time.ToMicroseconds() + _UNDELETE_US)
        assert got == expected

    def alias(self, seen: SeenAlias, got: alias_pb2.Alias) -> None:
        """Hold an answer to the model's alias."""
        own, pointer = f"{seen.asset}/aliases/{seen.name}", seen.pointer
        assert got == alias_pb2.Alias(
            name=f"{self._namespace}/assets/{own}",
            version=self._target(seen.asset, pointer.number),
            updater=self.agree("principal", pointer.updater, got.updater),
            update_time=self._time(pointer.updated, got.update_time),
            etag=self.agree(f"etag of {own}", pointer.revision, got.etag),
        )

    def move(self, move: tuple[int, str, str, int | None, str], got: alias_pb2.AliasChange) -> None:
        """Hold an entry of a history to the model's."""
        time, asset, alias, number, user = move
        assert got == alias_pb2.AliasChange(
            alias=f"{self._namespace}/assets/{asset}/aliases/{alias}",
            version=self._target(asset, number),
            principal=self.agree("principal", user, got.principal),
            log_time=self._time(time, got.log_time),
            event=self.agree("event", time, got.event),
        )

    def entry(self, number: int, entry: Entry, request_id: str, got: event_pb2.Event) -> None:
        """Hold an event to the model's."""
        self._time(number, got.log_time)
        self.agree("event", number, got.name)
        self.agree("event id", number, got.record.event_id)
        self.agree("principal", entry.user, got.record.principal)
        touched = {f"{self._namespace}/assets/{resource}" for resource in entry.touched}
        assert (got.record.act, got.record.request_id) == (entry.act, request_id)
        assert {change.resource for change in got.record.changes} == touched

    def _record(self, seen: Seen, got: version_pb2.VersionRecord) -> version_pb2.VersionRecord:
        version = seen.version
        return version_pb2.VersionRecord(
            digest=DIGESTS[version.digest],
            file_count=1,
            size=_size(version.digest),
            author=self.agree("principal", version.author, got.author),
            create_time=self._time(version.created, got.create_time),
            change_note=version.note,
            inputs=[self._input(source) for source in version.inputs],
            recipe_digest=_RECIPE_DIGEST if version.recipe else "",
            restored_from=self._target(seen.asset, version.restored_from),
        )

    def _input(self, source: Input) -> version_pb2.Input:
        return version_pb2.Input(
            version=self._target(source.asset, source.number),
            digest=DIGESTS[source.digest],
            role=version_pb2.InputRole.Value(f"INPUT_ROLE_{source.role}"),
        )

    def _target(self, asset: str, number: int | None) -> str:
        return f"{self._namespace}/assets/{asset}/versions/{number}" if number else ""

    def _time(self, event: int, got: Timestamp) -> Timestamp:
        self.agree("time", event, got.ToMicroseconds())
        return got


def _size(content: str) -> int:
    return len(CONTENTS[content]["f"])
