"""Edits of a database behind an exported checkpoint: each is found, by who has the key alone.

The forger knows all that modelkeep does, and makes hashes, salts and digests anew where they are
in the database; what they don't have is what was kept elsewhere.
"""

import hashlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import grpc
import pytest
from tests.places import memory
from tests.rounds import Tally, rounds, seed
from tests.running import run_server
from tests.services.wire import Registry

from modelkeep import merkle
from modelkeep.checkpoints import Checkpoint, LogKey
from modelkeep.digests import record_digest
from modelkeep.v1 import event_pb2, version_pb2
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep_server import offline
from modelkeep_server.domain.checkpoints import Checkpoints
from modelkeep_server.records.encode import BASE_FIELDS
from modelkeep_server.records.opening import open_records
from modelkeep_server.values.place import Place

# Rows that users read, and the log. Not: what is kept for repeats, leases, whose bytes are whose.
TABLES = (
    *("event", "event", "event_body", "event_scope", "log_node"),
    *("namespace", "asset", "version", "alias", "recipe", "input", "evaluation"),
    *("alias_move", "stage_move", "asset_move", "manifest_file"),
)
# Which form the stored bytes are of; there is one. And by what SQLite knows a row.
UNREAD = {"encoding_version", "id"}


@dataclass(frozen=True)
class Exported:
    """What was kept elsewhere: leaf hashes, and the checkpoint of them all."""

    data: Path
    checkpoint: Checkpoint
    leaves: list[bytes]
    key: str

    def kept(self, *, leaves: bool) -> offline.Kept:
        return offline.Kept([self.checkpoint], self.leaves if leaves else (), self.key)


@pytest.fixture(scope="session")
def exported(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    data = Path(shutil.copytree(lived, tmp_path_factory.mktemp("exported") / "data"))
    with run_server(data) as server, grpc.insecure_channel(server.address) as channel:
        r = Registry(channel, "default")
        for _ in range(260):  # so that a part of the tree is kept
            r.set_alias("many", 1)
            r.set_alias("many", 2)
        signed = r.events.GetCheckpoint(pb.GetCheckpointRequest(), metadata=r.metadata)
        leaves = r.events.ReadLeaves(pb.ReadLeavesRequest(), metadata=r.metadata).leaves
    with open_records(None, data, pytest.fail) as records:
        Checkpoints(records).keep(None)  # as it does each minute
    key = LogKey.parse(signed.key)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    return Exported(data, key.opened(signed.note), hashes, signed.key)


@pytest.fixture
def copied(exported: Exported, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    folder = Path(memory() or tmp_path) / f"modelkeep-tampering-{os.getpid()}"

    def copy() -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(exported.data, folder))

    yield copy
    shutil.rmtree(folder, ignore_errors=True)


class Forger:
    """Someone who writes into the database, at random."""

    def __init__(self, data: Path, rng: random.Random) -> None:
        self._database = apsw.Connection(str(data / "modelkeep.db"))
        self._rng = rng

    def close(self) -> None:
        self._database.close()

    def ask(self, sql: str, *values: object) -> list[Any]:
        return list(self._database.execute(sql, values))

    def edit(self) -> str:
        """Do something, and tell what; nothing where it came to nothing."""
        acts = [self._cell] * 6 + [self._delete, self._double, self._swap, self._cut]
        acts += [self._rewrite, self._insert, self._forge_a_version, self._another_log]
        return self._rng.choice(acts)()

    def _row(self, table: str) -> tuple[list[str], tuple[Any, ...], str]:
        """Choose a row: its columns, its values, and how SQL finds it."""
        about = self.ask(f"SELECT name, pk FROM pragma_table_info('{table}')")
        row = self._rng.choice(sorted(self.ask(f"SELECT * FROM {table}"), key=repr))
        keys = [
            f"{name} = {apsw.format_sql_value(value)}"
            for (name, key), value in zip(about, row, strict=True)
            if key
        ]
        return [name for name, _ in about], row, " AND ".join(keys)

    def _cell(self) -> str:
        table = self._rng.choice(TABLES)
        columns, row, where = self._row(table)
        at = self._rng.choice([n for n, name in enumerate(columns) if name not in UNREAD])
        value = self._other(row[at], columns[at])
        try:
            self.ask(f"UPDATE {table} SET {columns[at]} = ? WHERE {where}", value)
        except apsw.ConstraintError:
            return ""  # a forger would have to take another
        return f"{table}.{columns[at]} where {where}: {row[at]!r} became {value!r}"

    def _other(self, value: Any, name: str = "") -> Any:
        if name in ("deleted", "purged"):
            return 1 - value
        if isinstance(value, int):
            return value + self._rng.choice([-1, 1, 1000])
        if isinstance(value, str):
            return self._rng.choice([f"{value}x", value[:-1]]) if value else "x"
        if isinstance(value, bytes) and value:
            at, bit = self._rng.randrange(len(value)), 1 << self._rng.randrange(8)
            return value[:at] + bytes([value[at] ^ bit]) + value[at + 1 :]
        return self._rng.choice([b"x", "x", 1])

    def _delete(self) -> str:
        # What is kept of the tree is not missed: it follows from the leaves.
        table = self._rng.choice([table for table in TABLES if table != "log_node"])
        _, _, where = self._row(table)
        self.ask(f"DELETE FROM {table} WHERE {where}")
        return f"{table} where {where} was deleted"

    def _double(self) -> str:
        table = self._rng.choice([t for t in TABLES if t not in ("event", "log_node")])
        columns, row, _ = self._row(table)
        values = [
            None
            if name == "id"
            else self._other(value, name)
            if isinstance(value, int | str) and name not in UNREAD
            else value
            for name, value in zip(columns, row, strict=True)
        ]
        try:
            self.ask(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *values)
        except apsw.ConstraintError:
            return ""
        return f"{table} got {values}"

    def _positions(self) -> list[int]:
        return [position for (position,) in self.ask("SELECT position FROM event")]

    def _swap(self) -> str:
        one, other = sorted(self._rng.sample(self._positions(), 2))
        for table in ("event", "event_body", "event_scope"):
            for old, new in ((one, -1), (other, one), (-1, other)):
                self._database.execute(
                    f"UPDATE {table} SET position = ? WHERE position = ?", (new, old)
                )
        for position in (one, other):
            self._put(position, self._leaf(position))
        return f"events {one} and {other} swapped"

    def _cut(self) -> str:
        end = self._rng.choice(self._positions()[1:])
        for table in ("event", "event_body", "event_scope"):
            self._database.execute(f"DELETE FROM {table} WHERE position >= ?", (end,))
        return f"events from {end} on deleted"

    def _leaf(self, position: int) -> event_pb2.EventRecord:
        ((leaf,),) = self.ask("SELECT leaf FROM event WHERE position = ?", position)
        return event_pb2.EventRecord.FromString(event_pb2.LogLeaf.FromString(leaf).event)

    def _put(self, position: int, record: event_pb2.EventRecord, log_us: int | None = None) -> None:
        """Write an event's leaf anew, with all that goes with it."""
        ((kept,),) = self.ask("SELECT log_us FROM event WHERE position = ?", position)
        leaf = event_pb2.LogLeaf(event=record.SerializeToString(), position=position)
        leaf.log_time.FromMicroseconds(log_us or kept)
        stored = leaf.SerializeToString()
        self._database.execute(
            "UPDATE event SET leaf = ?, leaf_hash = ?, event_id = ?, log_us = ? WHERE position = ?",
            (stored, merkle.leaf_hash(stored), record.event_id, log_us or kept, position),
        )
        self._database.execute("DELETE FROM log_node")

    def _rewrite(self) -> str:
        position = self._rng.choice(self._positions())
        record = self._leaf(position)
        what = self._rng.choice(["principal", "act", "method", "request_id", "event_id"])
        setattr(record, what, self._other(getattr(record, what)))
        self._put(position, record)
        return f"events/{position} has another {what}"

    def _insert(self) -> str:
        """Put an event in that never happened, and move all behind it."""
        at = self._rng.choice(self._positions())
        for table in ("event", "event_body", "event_scope"):
            self._database.execute(
                f"UPDATE {table} SET position = -position WHERE position >= ?", (at,)
            )
            self._database.execute(f"UPDATE {table} SET position = 1 - position WHERE position < 0")
        self._database.execute(
            "INSERT INTO event SELECT ?, 'x', log_us, leaf, leaf_hash, reason, reason_salt "
            "FROM event WHERE position = ?",
            (at, at + 1),
        )
        self._put(at, event_pb2.EventRecord(event_id="x", principal="principals/x", act="x.y"))
        for position in self._positions():
            if position > at:
                self._put(position, self._leaf(position))
        return f"events/{at} inserted"

    def _forge_a_version(self) -> str:
        """Make a version better than it was, in its row and in the log that tells of it."""
        found = self.ask(
            "SELECT version.id, base, resource, number FROM version "
            "JOIN asset ON asset.id = asset_id ORDER BY version.id"
        )
        row, base, asset, number = self._rng.choice(found)
        name = f"{asset}/versions/{number}"
        version = version_pb2.Version.FromString(base)
        version.record.metrics["auc"] = self._rng.random()
        version.record_digest = record_digest(version.record)
        self._database.execute(
            "UPDATE version SET base = ? WHERE id = ?", (version.SerializeToString(), row)
        )
        kept = {field.name for field in version.DESCRIPTOR.fields} - BASE_FIELDS
        for position in self._positions():
            record = self._leaf(position)
            for ordinal, change in enumerate(record.changes):
                if change.resource != name:
                    continue
                ((*bodies,),) = self.ask(
                    "SELECT before, before_salt, after, after_salt FROM event_body "
                    "WHERE position = ? AND ordinal = ?",
                    position,
                    ordinal,
                )
                for at, column in ((0, "before"), (2, "after")):
                    if bodies[at] is None:
                        continue
                    was = version_pb2.Version.FromString(bodies[at])
                    new = version_pb2.Version.FromString(version.SerializeToString())
                    for field in kept:
                        if field != "aliases" and field in {f.name for f, _ in was.ListFields()}:
                            value = getattr(was, field)
                            if hasattr(value, "CopyFrom"):
                                getattr(new, field).CopyFrom(value)
                            else:
                                setattr(new, field, value)
                    body = new.SerializeToString()
                    setattr(
                        change,
                        f"{column}_hash",
                        hashlib.sha256(bodies[at + 1] + body).digest(),
                    )
                    self._database.execute(
                        f"UPDATE event_body SET {column} = ? WHERE position = ? AND ordinal = ?",
                        (body, position, ordinal),
                    )
                self._put(position, record)
        return f"{name} forged"

    def _another_log(self) -> str:
        self._database.execute(
            "UPDATE setting SET value = ? WHERE key = 'log_origin'",
            (event_pb2.LogOrigin(id=self._rng.randbytes(16)).SerializeToString(),),
        )
        return "another log's name"


@pytest.mark.rounds("tampering")
@pytest.mark.timeout(1800)
def test_every_edit_is_found(exported: Exported, copied: Callable[[], Path], tally: Tally) -> None:
    rng = random.Random(seed())
    assert list(offline.check_log(Place(copied()), exported.kept(leaves=True), Counter())) == []
    done: Counter[str] = Counter()
    while tally.tried < rounds(100, 1000):
        data = copied()
        with closing(Forger(data, rng)) as forger:
            what = forger.edit()
        if not what:
            continue
        tally.tried += 1
        leaves = rng.random() < 0.5
        found = list(offline.check_log(Place(data), exported.kept(leaves=leaves), Counter()))
        with tally.counting_faults():
            assert found, what
        done[what.split()[0]] += 1
    assert len(done) > 10


@pytest.mark.parametrize("position", [1, 9, 300])
def test_the_first_entry_that_is_wrong_is_named(
    exported: Exported, copied: Callable[[], Path], position: int
) -> None:
    data = copied()
    with closing(Forger(data, random.Random(1))) as forger:
        record = forger._leaf(position)
        record.act = "version.approved"
        forger._put(position, record)
        later = forger._leaf(position + 5)
        later.principal = "principals/x"
        forger._put(position + 5, later)

    found = list(offline.check_log(Place(data), exported.kept(leaves=True), Counter()))

    named = [(one.what, one.resource) for one in found if isinstance(one, offline.Damage)]
    assert named[0] == ("event", f"events/{position}")
    assert ("event", f"events/{position + 5}") not in named


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "UPDATE alias_move SET version_id = (SELECT version_id FROM alias_move WHERE "
            "position = {after} AND name = 'many') WHERE position = {at} AND name = 'many'",
            "says it was pointed to namespaces/default/assets/churn/versions/1 by",
        ),
        ("UPDATE alias_move SET principal = 'x' WHERE position = {at}", "by x, and events/"),
        ("DELETE FROM alias_move WHERE position = {at}", "does not have what events/"),
        ("UPDATE alias_move SET version_id = NULL WHERE position = {at}", "says removed by"),
    ],
)
def test_a_move_in_the_middle_of_the_history(
    exported: Exported, copied: Callable[[], Path], sql: str, words: str
) -> None:
    """Which version it was on that day is what auditors ask for."""
    data = copied()
    with closing(Forger(data, random.Random(1))) as forger:
        ((at, after),) = forger.ask(
            "SELECT position, position + 1 FROM alias_move JOIN version ON version.id = version_id "
            "WHERE name = 'many' AND version.number = 2 ORDER BY position LIMIT 1 OFFSET 50"
        )
        forger.ask(sql.format(at=at, after=after))

    found = list(offline.check_log(Place(data), exported.kept(leaves=True), Counter()))

    told = [one for one in found if isinstance(one, offline.Damage)]
    assert any(one.what == "history" and words in one.text for one in told), found


def test_a_forged_version_is_found_by_the_checkpoint_alone(
    exported: Exported, copied: Callable[[], Path]
) -> None:
    """All else in the database bears it out: that is what a checkpoint is kept for."""
    data = copied()
    with closing(Forger(data, random.Random(3))) as forger:
        forger._forge_a_version()

    assert list(offline.check_log(Place(data), offline.Kept(), Counter())) == []
    (found,) = offline.check_log(Place(data), exported.kept(leaves=False), Counter())
    assert isinstance(found, offline.Damage)
    assert (found.what, found.resource) == ("log", "events/1")


@pytest.mark.parametrize(
    ("sql", "what", "words"),
    [
        (
            "UPDATE manifest SET blob_id = NULL; "
            "UPDATE manifest_file SET path = 'another-' || path",
            "manifest",
            "its files are those of",
        ),
        ("UPDATE manifest SET blob_id = NULL", "manifest", "its blob is not there"),
        ("UPDATE blob SET size = size + 100", "manifest", "its files have"),
        ("UPDATE blob SET digest = randomblob(32) WHERE id = 1", "manifest", "its"),
        (
            "UPDATE principal SET display_name = 'unverified:mallory' "
            "WHERE display_name = 'unverified:tester'",
            "principal",
            "has a name that its id is not made of",
        ),
        (
            "DELETE FROM principal WHERE display_name = 'unverified:tester'",
            "principal",
            "acted, and has no name",
        ),
        (
            "UPDATE setting SET value = randomblob(32) WHERE key = 'principal_key'",
            "principal",
            "has a name that its id is not made of",
        ),
        (
            "UPDATE setting SET value = randomblob(32) WHERE key = 'log_key'",
            "log",
            "has modelkeep.dev/logs/",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON alias_move BEGIN DELETE FROM alias_move; END",
            "database",
            "the trigger t is none of modelkeep's",
        ),
        (
            "ALTER TABLE recipe RENAME TO kept; CREATE VIEW recipe AS SELECT * FROM kept",
            "database",
            "the view recipe is none of modelkeep's",
        ),
    ],
)
def test_what_stands_beside_the_log_is_held_against_it(
    exported: Exported, copied: Callable[[], Path], sql: str, what: str, words: str
) -> None:
    data = copied()
    with closing(Forger(data, random.Random(1))) as forger:
        forger.ask(sql)

    found = list(offline.check_log(Place(data), exported.kept(leaves=True), Counter()))

    told = [one for one in found if isinstance(one, offline.Damage) and one.what == what]
    assert any(words in one.text for one in told), found
