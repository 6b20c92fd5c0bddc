"""The log is whole, and each change is on it once.

* Positions are 1, 2, … without gaps; times never run back; no event's id is another's.
* A leaf reads as what its row says, and its hash is RFC 6962's.
* What is kept of before and after is what the leaf's hashes bind; each change has both.
* A resource's revisions go up one by one, and each change begins where the one before ended.
* An event is found under each resource that it concerns, and under no other.
* An answer kept for repeats names an event that is there.
* The hashes kept of its tree are those of its leaves.
* What was kept of it elsewhere is its beginning still.
"""

from collections import Counter, deque
from collections.abc import Generator, Iterator

from modelkeep.errors import DataLossError
from modelkeep.merkle import Tree, leaf_hash
from modelkeep.v1 import event_pb2, version_pb2
from modelkeep_server.domain import verify_history, verify_principals
from modelkeep_server.domain.checkpoints import KEY_BYTES, log_key
from modelkeep_server.records import log_tree, origin, settings, survey_log
from modelkeep_server.records.encode import (
    commitment,
    fingerprint,
    microseconds,
    read_stored,
)
from modelkeep_server.records.ledger import Entry, Ledger
from modelkeep_server.records.log import lineage
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey import BEFORE_ALL
from modelkeep_server.records.survey_log import StoredBody, StoredEvent
from modelkeep_server.values.findings import Damage
from modelkeep_server.values.kept_log import NOTHING_KEPT, Kept

# A call that makes a version and puts it into production changes it twice, in one event.
_MOST_STEPS = {version_pb2.Version.DESCRIPTOR.full_name: 2}


def check(session: Session, ledger: Ledger, checked: Counter[str]) -> Iterator[Damage]:
    """Check the log from its first entry on, and gather in `ledger` what it says last."""
    reading = Reading(ledger, checked)
    for found in reading.rest(session):
        yield from found
    yield from reading.around(session)


def audit(session: Session, ledger: Ledger, checked: Counter[str], kept: Kept) -> Iterator[Damage]:
    """Check it, and hold it against what was kept, and against the names of those who acted."""
    reading = Reading(ledger, checked, kept)
    for found in reading.rest(session):
        yield from found
    yield from reading.around(session)
    yield from verify_principals.check(session, reading.acted)


class Reading:
    """The log, as far as it was read; several states of the database may be read one by one."""

    def __init__(self, ledger: Ledger, checked: Counter[str], kept: Kept = NOTHING_KEPT) -> None:
        """Begin with the first entry."""
        self._kept = _KeptReading(kept)
        self._ledger = ledger
        self._checked = checked
        self._after = BEFORE_ALL
        self._before = (0, 0)
        self._listings = 0
        self.acted: set[str] = set()

    def rest(self, session: Session) -> Generator[Iterator[Damage], None, None]:
        """Check what was not read yet, an entry at a time; what is found must be asked for."""
        for event in survey_log.events(session, self._after):
            self._after = event.position
            yield self._next(session, event)

    def around(self, session: Session) -> Iterator[Damage]:
        """Check what stands beside the events; all of them must have been read by now."""
        yield from self._kept.rest(session)
        yield from _around(session, self._listings)

    def _next(self, session: Session, event: StoredEvent) -> Iterator[Damage]:
        self._checked["events"] += 1
        yield from _place(event, self._before)
        self._before = (event.position, event.log_us)
        own = leaf_hash(event.leaf)
        yield from self._kept.next(event, own)
        record = _record(event, own)
        if isinstance(record, Damage):
            yield record
            return
        self.acted.add(record.principal)
        scopes = {scope for change in record.changes for scope in lineage(change.resource)}
        self._listings += len(scopes)
        yield from _event(session, event, record, scopes)
        yield from _changes(session, event, record, self._ledger)


class _KeptReading:
    """What was kept, compared with the log entry by entry; only the first that differs is told."""

    def __init__(self, kept: Kept) -> None:
        self._is_idle = kept is NOTHING_KEPT
        self._checkpoints = sorted(kept.checkpoints, key=lambda one: one.size)
        self._due = deque(self._checkpoints)
        self._leaves = iter(kept.leaf_hashes)
        self._key = kept.key
        self._tree = Tree()
        self._borne_out = 0
        self._differs = False

    def next(self, event: StoredEvent, own: bytes) -> Iterator[Damage]:
        if self._is_idle or self._differs:
            return
        if next(self._leaves, own) != own:
            self._differs = True
            yield _damage(event, "is not what the export of the log has")
        self._tree.add(own)
        while self._due and self._due[0].size == self._tree.size and not self._differs:
            due = self._due.popleft()
            if self._tree.root() != due.root:
                self._differs = True
                yield Damage(
                    "log",
                    f"events/{self._borne_out + 1}",
                    f"from here to events/{due.size} something is not what the checkpoint of "
                    f"{due.size} entries says",
                )
            self._borne_out = due.size

    def rest(self, session: Session) -> Iterator[Damage]:
        name = origin.name(session)
        for one in self._checkpoints:
            if one.origin != name:
                text = f"the checkpoint of {one.size} entries is of {one.origin}"
                yield Damage("log", name, text)
        if self._key is not None and self._key != (own := _key(name, session)):
            yield Damage("log", name, f"has {own}, not the key {self._key}")
        if self._due and not self._differs:
            last = self._due[-1]
            yield Damage(
                "log",
                f"events/{self._tree.size + 1}",
                f"is missing, as all behind it: the checkpoint has {last.size} entries",
            )


def _key(name: str, session: Session) -> str:
    """Write the log's public key; a backup has none."""
    private = settings.known_keys(session).log
    return str(log_key(name, private)) if len(private) == KEY_BYTES else "no key"


def _place(event: StoredEvent, before: tuple[int, int]) -> Iterator[Damage]:
    position, log_us = before
    if event.position != position + 1:
        yield _damage(event, f"comes after events/{position}: what was between them is missing")
    if event.log_us < log_us:
        yield _damage(event, "is older than the one before it")


def _record(event: StoredEvent, own: bytes) -> event_pb2.EventRecord | Damage:
    """Read a leaf, whose own hash this is, or say what is wrong with it."""
    if own != event.leaf_hash:
        return _damage(event, "its leaf is not what its hash says")
    try:
        leaf = read_stored(event_pb2.LogLeaf, event.leaf)
        record = read_stored(event_pb2.EventRecord, leaf.event)
    except DataLossError:
        return _damage(event, "its leaf can't be read")
    place = (leaf.position, microseconds(leaf.log_time), record.event_id)
    if place != (event.position, event.log_us, event.event_id):
        return _damage(event, "its leaf has another position, time or id than its row")
    return record


def _event(
    session: Session, event: StoredEvent, record: event_pb2.EventRecord, scopes: set[str]
) -> Iterator[Damage]:
    for scope in sorted(scopes):
        if not survey_log.is_listed(session, scope, event.position):
            yield _damage(event, f"is not found under {scope}")
    reason = None if event.reason is None else event.reason.encode()
    if not _binds(record.reason_hash, event.reason_salt, reason):
        yield _damage(event, "its reason is not what the leaf binds")


def _changes(
    session: Session, event: StoredEvent, record: event_pb2.EventRecord, ledger: Ledger
) -> Iterator[Damage]:
    bodies = survey_log.bodies(session, event.position)
    if [body.ordinal for body in bodies] != list(range(len(record.changes))):
        yield _damage(event, f"has {len(record.changes)} changes and {len(bodies)} bodies")
        return
    for change, body in zip(record.changes, bodies, strict=True):
        yield from _bound(event, change, body)
        try:
            yield from _change(event, change, body, ledger)
            moved = verify_history.move(change.type, record.principal, body.before, body.after)
            if moved is not None:
                ledger.put_move(change.resource, event.position, moved)
        except (DataLossError, KeyError):
            yield _damage(event, f"what it did to {change.resource} can't be read")


def _bound(event: StoredEvent, change: event_pb2.Change, body: StoredBody) -> Iterator[Damage]:
    if not _binds(change.before_hash, body.before_salt, body.before):
        yield _damage(event, f"what {change.resource} was before is not what the leaf binds")
    if not _binds(change.after_hash, body.after_salt, body.after):
        yield _damage(event, f"what {change.resource} was after is not what the leaf binds")


def _change(
    event: StoredEvent, change: event_pb2.Change, body: StoredBody, ledger: Ledger
) -> Iterator[Damage]:
    last = ledger.find(change.resource) or Entry(change.type, 0, 0, 0, b"")
    steps = change.revision - last.revision
    if not 1 <= steps <= _MOST_STEPS.get(change.type, 1):
        yield _damage(
            event,
            f"makes {change.resource} revision {change.revision}, after revision {last.revision}",
        )
    if _print(change, body.before) != last.body:
        yield _damage(event, f"what {change.resource} was before is not what it was made last")
    after = _print(change, body.after)
    entry = Entry(change.type, change.revision, last.changes + 1, event.position, after)
    ledger.put(change.resource, entry)


def _around(session: Session, listings: int) -> Iterator[Damage]:
    """Check what stands beside the events and names them."""
    for event_id in survey_log.doubled_event_ids(session):
        yield Damage("event", event_id, "more than one event has this id")
    for first, last in log_tree.wrong(session):
        yield Damage(
            "log", f"events/{first}", f"what is kept of it to events/{last} is not their hash"
        )
    for position in survey_log.lost_bodies(session):
        yield Damage("event", f"events/{position}", "has bodies, and is not there")
    if (found := survey_log.listings(session)) != listings:
        yield Damage("event", "events", f"are found under {found} resources, not {listings}")
    for method, request_id, event_id in survey_log.lost_answers(session):
        yield Damage("answer", request_id, f"the event {event_id} of this {method} is not there")


def _binds(expected: bytes, salt: bytes | None, body: bytes | None) -> bool:
    if salt is None or body is None:
        return not expected and salt is None and body is None
    return commitment(salt, body) == expected


def _print(change: event_pb2.Change, body: bytes | None) -> bytes:
    return b"" if body is None else fingerprint(change.type, body)


def _damage(event: StoredEvent, text: str) -> Damage:
    return Damage("event", f"events/{event.position}", text)
