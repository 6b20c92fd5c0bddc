"""Sequences of calls at random, made to a server and to the model of it.

Names and numbers come from a few, so that calls meet each other: a second client's stale etag, a
deleted input, a name that differs in case. After each call the answers agree, or the refusals do;
after the last, all that can be read.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.rounds import check_kept
from tests.services.wire import Refusal, Registry, status
from tests.truth.driver import Driver
from tests.truth.model import Model
from tests.truth.things import ANY, NONE_YET, STALE, Asset, Refused, Version

from modelkeep.v1 import version_pb2

USERS = ("ann", "bob", "cem")
Call: TypeAlias = tuple[str, bool]
"""Who calls, and whether a write has a `request_id`."""
BEGIN: Call = ("ann", False)
CALLS = st.tuples(st.sampled_from(USERS), st.booleans())
NEW = st.sampled_from(["a", "a", "b", "c", "C", "B"])
ASSETS = st.sampled_from([*["a", "a", "b", "c"] * 4, "nobody"])
CONTENTS = st.sampled_from("xxxyyz")
KINDS = st.sampled_from(["", "", "", "MODEL", "DATASET"])
NUMBERS = st.integers(0, 11)
ALIASES = st.sampled_from([*["champion", "production"] * 4, "Champion"])
OTHERS = ["latest", "x", "y", "@champion", "@production", "@development", "@archived", "@staging"]
SELECTORS = st.integers(1, 4) | st.sampled_from(OTHERS)
ETAGS = st.sampled_from([*["any", "right"] * 4, "old", "old", "none", "wrong"])
TIMES = st.sampled_from(["moment", "at", "before"])
STAGE_FILTERS = st.sampled_from(["", "", "DEVELOPMENT", "PRODUCTION", "ARCHIVED"])
SIZES = st.sampled_from([0, 1, 2])
CHANGES = st.sampled_from(
    [
        {"description": "good"},
        {"labels": {"team": "fraud"}},
        {"labels": {}, "display_name": "Churn"},
        {},
    ]
)
FLAGS = st.fixed_dictionaries(
    {
        "create_asset": st.sampled_from([True, True, True, False]),
        "if_changed": st.booleans(),
        "recipe": st.booleans(),
        "note": st.sampled_from(["", "more data"]),
        "labels": st.sampled_from([{}, {"team": "risk"}]),
    }
)


class Truth(RuleBasedStateMachine):
    """One sequence. A subclass has the server's clients, by their user's name."""

    clients: ClassVar[Mapping[str, Registry]] = {}
    ended: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.driver = Driver(self.clients)
        self.written: list[tuple[str, str, str, dict[str, Any]]] = []
        self.moments: list[tuple[Timestamp, int]] = []
        self.is_agreed = True

    # Writes

    @initialize(first=st.lists(CONTENTS, min_size=1, max_size=2), alias=ALIASES, flag=st.booleans())
    def begin(self, first: list[str], alias: str, flag: bool) -> None:
        """Begin with a data set, and versions of a model of which the last has an alias."""
        plain = {"create_asset": True, "if_changed": False, "recipe": False, "note": ""}
        plain |= {"labels": {}}
        self._push("x")
        data = {"digest": "x", "inputs": (), "aliases": (), "kind": "DATASET"}
        self._write("create", BEGIN, asset="b", **data, **plain)
        for number, content in enumerate(first, 1):
            self._push(content)
            is_last = number == len(first)
            inputs = (("b", 1),) if is_last and flag else ()
            made = {"digest": content, "inputs": inputs, "aliases": (alias,) * is_last, "kind": ""}
            self._write("create", BEGIN, asset="a", **made, **plain)

    @rule(call=CALLS, asset=NEW, kind=KINDS)
    def create_asset(self, call: Call, asset: str, kind: str) -> None:
        self._write("create_asset", call, asset=asset, kind=kind)

    @rule(call=CALLS, asset=ASSETS, etag=ETAGS, changes=CHANGES)
    def update_asset(self, call: Call, asset: str, etag: str, changes: dict[str, Any]) -> None:
        asset = self._asset(asset)
        known = self._asset_etag(call, asset, etag)
        self._write("update_asset", call, asset=asset, etag=known, changes=changes)

    @rule(call=CALLS, asset=ASSETS, etag=ETAGS)
    def delete_asset(self, call: Call, asset: str, etag: str) -> None:
        asset = self._asset(asset)
        self._write("delete_asset", call, asset=asset, etag=self._asset_etag(call, asset, etag))

    @precondition(lambda self: self._hidden())
    @rule(call=CALLS, asset=ASSETS)
    def undelete_asset(self, call: Call, asset: str) -> None:
        chosen = self._hidden()[0] if asset in "ab" else self._asset(asset)
        self._write("undelete_asset", call, asset=chosen)

    @rule(
        call=CALLS,
        asset=NEW | ASSETS,
        kind=KINDS,
        content=CONTENTS,
        is_sent=st.sampled_from([True, True, True, False]),
        inputs=st.lists(st.tuples(ASSETS, NUMBERS), max_size=2),
        aliases=st.lists(ALIASES, max_size=2),
        flags=FLAGS,
    )
    def create(
        self,
        call: Call,
        asset: str,
        kind: str,
        content: str,
        is_sent: bool,
        inputs: list[tuple[str, int]],
        aliases: list[str],
        flags: dict[str, Any],
    ) -> None:
        if is_sent:
            self._push(content)
        places = tuple(self._place(name, number) for name, number in inputs)
        given = {"digest": content, "inputs": places, "aliases": tuple(aliases), "kind": kind}
        self._write("create", call, asset=asset, **given, **flags)

    @rule(call=CALLS, asset=ASSETS, number=NUMBERS, note=st.sampled_from(["", "v2 drifted"]))
    def restore(self, call: Call, asset: str, number: int, note: str) -> None:
        asset, number = self._place(asset, number)
        self._write("restore", call, asset=asset, number=number, note=note)

    @rule(call=CALLS, asset=ASSETS, number=NUMBERS, etag=ETAGS, changes=CHANGES)
    def update(
        self, call: Call, asset: str, number: int, etag: str, changes: dict[str, Any]
    ) -> None:
        asset, number = self._place(asset, number)
        known = self._version_etag(call, asset, number, etag)
        self._write("update", call, asset=asset, number=number, etag=known, changes=changes)

    @rule(call=CALLS, asset=ASSETS, number=NUMBERS, etag=ETAGS)
    def delete(self, call: Call, asset: str, number: int, etag: str) -> None:
        asset, number = self._place(asset, number, _is_free)
        known = self._version_etag(call, asset, number, etag)
        self._write("delete", call, asset=asset, number=number, etag=known)

    @precondition(lambda self: self._any(_is_deleted))
    @rule(call=CALLS, asset=ASSETS, number=NUMBERS)
    def undelete(self, call: Call, asset: str, number: int) -> None:
        asset, number = self._place(asset, number, _is_deleted)
        self._write("undelete", call, asset=asset, number=number)

    @precondition(lambda self: self._any(_is_deleted))
    @rule(call=CALLS, asset=ASSETS, number=NUMBERS, etag=ETAGS)
    def purge(self, call: Call, asset: str, number: int, etag: str) -> None:
        asset, number = self._place(asset, number, _is_deleted)
        known = self._version_etag(call, asset, number, etag)
        self._write("purge", call, asset=asset, number=number, etag=known)

    @rule(call=CALLS, asset=ASSETS, alias=ALIASES, number=NUMBERS, etag=ETAGS)
    def set_alias(self, call: Call, asset: str, alias: str, number: int, etag: str) -> None:
        asset, number = self._place(asset, number)
        known = self._alias_etag(call, asset, alias, etag)
        self._write("set_alias", call, asset=asset, alias=alias, number=number, etag=known)

    @rule(call=CALLS, asset=ASSETS, alias=ALIASES, etag=ETAGS)
    def remove_alias(self, call: Call, asset: str, alias: str, etag: str) -> None:
        asset = self._asset(asset)
        known = self._alias_etag(call, asset, alias, etag)
        self._write("remove_alias", call, asset=asset, alias=alias, etag=known)

    @precondition(lambda self: self.written)
    @rule(call=CALLS, which=st.integers(0, 30), how=st.sampled_from(["same", "body", "user"]))
    def retry(self, call: Call, which: int, how: str) -> None:
        """Repeat an earlier write: as it was, with another body, or as another caller's."""
        user, method, request_id, args = self.written[which % len(self.written)]
        user = call[0] if how == "user" else user
        args = args | {"asset": "other"} if how == "body" else args
        self._tell(user, method, request_id, args)

    # Reads

    @rule(call=CALLS, asset=ASSETS, selector=SELECTORS)
    def get(self, call: Call, asset: str, selector: str | int) -> None:
        asset = self._asset(asset)
        self._same(
            lambda: self.model.get(asset, selector),
            lambda: self.driver.get(call[0], asset, selector),
        )

    @rule(call=CALLS, asset=ASSETS, selector=SELECTORS, which=st.integers(0, 30), when=TIMES)
    def get_as_of(self, call: Call, asset: str, selector: str | int, which: int, when: str) -> None:
        asset = self._asset(asset)
        time, state = self._time(which, when)
        if when != "moment" and which % 2:
            asset, selector = self._touched(1 + which % len(self.model.log)) or (asset, selector)
        self._same(
            lambda: self.model.get(asset, selector, state),
            lambda: self.driver.get(call[0], asset, selector, time),
        )

    @rule(call=CALLS, asset=ASSETS, alias=ALIASES)
    def get_alias(self, call: Call, asset: str, alias: str) -> None:
        asset = self._asset(asset)
        self._same(
            lambda: self.model.get_alias(asset, alias),
            lambda: self.driver.get_alias(call[0], asset, alias),
        )

    @rule(call=CALLS, asset=ASSETS, size=SIZES, deleted=st.booleans(), stage=STAGE_FILTERS)
    def list_versions(self, call: Call, asset: str, size: int, deleted: bool, stage: str) -> None:
        asset = self._asset(asset)
        number = version_pb2.Stage.Value(f"STAGE_{stage or 'UNSPECIFIED'}")
        fields = {"size": size, "show_deleted": deleted, "stage": number}
        self._same_list(
            "versions",
            asset,
            lambda: self.model.list_versions(asset, deleted, stage),
            call[0],
            **fields,
        )

    @rule(call=CALLS, asset=ASSETS, size=SIZES, alias=ALIASES | st.just(""), moves=st.booleans())
    def list_aliases(self, call: Call, asset: str, size: int, alias: str, moves: bool) -> None:
        """List an asset's aliases, or how they were moved."""
        asset, user = self._asset(asset), call[0]
        if moves:
            expect = partial(self.model.list_moves, asset, alias)
            self._same_list("alias_changes", asset, expect, user, size=size, alias=alias)
        else:
            self._same_list(
                "aliases", asset, partial(self.model.list_aliases, asset), user, size=size
            )

    def teardown(self) -> None:
        """Read everything once more, and the log."""
        if not self.is_agreed:
            return
        type(self).ended += 1
        self._same_list("assets", "", lambda: self.model.list_assets(True), show_deleted=True)
        for name, asset in self.model.assets.items():
            if asset.aliases:
                self._same_list("alias_changes", name, partial(self.model.list_moves, name, ""))
            if asset.deleted is None:
                self._same_list(
                    "versions",
                    name,
                    partial(self.model.list_versions, name, True, ""),
                    show_deleted=True,
                )
        self._log()

    # How

    def _write(self, method: str, call: Call, **args: Any) -> None:
        user, is_named = call
        request_id = f"request {len(self.written)}" if is_named else ""
        if request_id:
            self.written.append((user, method, request_id, args))
        self._tell(user, method, request_id, args)

    def _tell(self, user: str, method: str, request_id: str, args: dict[str, Any]) -> None:
        expected = _asked(lambda: self.model.write(user, method, request_id, args))
        got = _asked(lambda: self.driver.write(user, method, request_id, args))
        self.is_agreed = False
        if isinstance(expected, Refused) or isinstance(got, Refusal):
            _check_refusal(expected, got)
        else:
            (answer, event), (message, event_id) = expected, got
            self.driver.symbols.check(answer, message)
            if event:
                self.driver.symbols.agree("event id", event, event_id)
            assert bool(event) == bool(event_id)
        self.is_agreed = True
        now = Timestamp()
        now.GetCurrentTime()
        self.moments.append((now, len(self.model.log)))

    def _same(self, expect: Callable[[], Any], ask: Callable[[], Any]) -> None:
        expected, got = _asked(expect), _asked(ask)
        self.is_agreed = False
        if isinstance(expected, Refused) or isinstance(got, Refusal):
            _check_refusal(expected, got)
        else:
            self.driver.symbols.check(expected, got)
        self.is_agreed = True

    def _same_list(
        self, what: str, asset: str, expect: Callable[[], Any], user: str = "ann", **fields: Any
    ) -> None:
        self._same(expect, lambda: self.driver.listed(user, what, asset, **fields))

    def _log(self) -> list[Any]:
        """Read the log: one event for each change, in its order."""
        events = self.driver.log()
        self.is_agreed = False
        check_kept(len(events) > len(self.model.log), "events")
        assert len(events) == len(self.model.log) + 1
        assert [event.position for event in events] == sorted({e.position for e in events})
        for number, entry in enumerate(self.model.log, 1):
            request_id = self.driver.request_id(entry.request_id)
            self.driver.symbols.entry(number, entry, request_id, events[number])
        self.is_agreed = True
        return events

    def _time(self, which: int, when: str) -> tuple[Timestamp, int]:
        """Choose a time, and tell which state of the model it is the time of."""
        if when == "moment":
            return self.moments[which % len(self.moments)]
        events = self._log()
        number = 1 + which % (len(events) - 1)
        time = Timestamp()
        time.FromMicroseconds(events[number].log_time.ToMicroseconds() - (when == "before"))
        return time, number - (when == "before")

    def _touched(self, event: int) -> tuple[str, str | int] | None:
        """Choose what an event moved: an alias, or a version."""
        asset, _, own = min(self.model.log[event - 1].touched).partition("/")
        kind, _, name = own.partition("/")
        if kind == "aliases":
            return asset, f"@{name}"
        return (asset, int(name)) if kind else None

    def _push(self, content: str) -> None:
        if content not in self.model.sealed:
            self.driver.push(content)
            self.model.sealed.add(content)

    def _hidden(self) -> list[str]:
        return [asset.name for asset in self.model.assets.values() if asset.deleted is not None]

    def _asset(self, name: str) -> str:
        """Choose an asset: mostly one that there is."""
        return name if name in self.model.assets or name == "nobody" else "a"

    def _place(
        self, name: str, number: int, suits: Callable[[Asset, Version], bool] | None = None
    ) -> tuple[str, int]:
        """Choose a version: mostly one that there is, more often one that suits, of any asset."""
        fitting = [
            (asset.name, version.number)
            for asset in self.model.assets.values()
            for version in asset.versions.values()
            if suits and number % 4 and suits(asset, version)
        ]
        asset = self._asset(name)
        known = self.model.assets[asset].versions if asset in self.model.assets else {}
        fitting = fitting or [(asset, other) for other in known]
        return fitting[number % len(fitting)] if number and fitting else (asset, len(known) + 1)

    def _any(self, suits: Callable[[Asset, Version], bool]) -> bool:
        return any(suits(a, v) for a in self.model.assets.values() for v in a.versions.values())

    def _asset_etag(self, call: Call, asset: str, age: str) -> int:
        found = self.model.assets.get(asset)
        if age == "right" and found:
            self._same(lambda: found, lambda: self.driver.get_asset(call[0], asset))
        return _etag(age, found.revision if found else None)

    def _version_etag(self, call: Call, asset: str, number: int, age: str) -> int:
        found = self.model.assets.get(asset)
        version = found.versions.get(number) if found else None
        if age == "right":
            self.get(call, asset, number)
        return _etag(age, version.revision if version else None)

    def _alias_etag(self, call: Call, asset: str, alias: str, age: str) -> int:
        found = self.model.assets.get(asset)
        pointer = found.aliases.get(alias) if found else None
        if age == "right":
            self.get_alias(call, asset, alias)
        if age == "none":
            return NONE_YET
        return _etag(age, pointer.revision if pointer else None)


def _is_free(asset: Asset, version: Version) -> bool:
    return version.deleted is None and not asset.pointing(version.number)


def _is_deleted(_asset: Asset, version: Version) -> bool:
    return version.deleted is not None


def _etag(age: str, revision: int | None) -> int:
    if age == "any":
        return ANY
    known = {"right": revision, "old": revision - 1 if revision else None}
    return known.get(age) or STALE


def _asked(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Refused as refused:
        return refused
    except grpc.RpcError as error:
        return status(error)


def _check_refusal(expected: Any, got: Any) -> None:
    is_known = not isinstance(expected, Refused)
    check_kept(not (is_known and got.code == "NOT_FOUND"), f"refused: {got}")
    assert isinstance(expected, Refused), f"refused: {got}"
    assert isinstance(got, Refusal), f"not refused: {expected.reasons}"
    assert expected.allows(got.code, got.reason), f"{got} instead of {expected.reasons}"
