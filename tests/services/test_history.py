"""What was when: every selector, as of every event, is what a model of it says."""

import random
from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.services.wire import Registry, refused, status

from modelkeep.v1 import event_pb2, version_pb2
from modelkeep.v1 import version_service_pb2 as pb
from modelkeep.v1.asset_service_pb2 import DeleteAssetRequest, UndeleteAssetRequest
from modelkeep_server.domain import resolve
from modelkeep_server.records import clock, records

ALIASES = ("champion", "production", "shadow")
STAGES = {
    "development": version_pb2.STAGE_DEVELOPMENT,
    "staging": version_pb2.STAGE_STAGING,
    "archived": version_pb2.STAGE_ARCHIVED,
}


@dataclass
class Model:
    """What is known of an asset at one time."""

    stages: dict[int, int] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    aliases: dict[str, int] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def copy(self) -> "Model":
        return Model(dict(self.stages), set(self.deleted), dict(self.aliases), dict(self.digests))

    def point(self, alias: str, number: int) -> None:
        before = self.aliases.get(alias)
        if alias == "production" and before and before != number:
            self.stages[before] = version_pb2.STAGE_ARCHIVED
        self.aliases[alias] = number
        if alias == "production":
            self.stages[number] = version_pb2.STAGE_PRODUCTION

    def remove(self, alias: str) -> None:
        before = self.aliases.pop(alias)
        if alias == "production":
            self.stages[before] = version_pb2.STAGE_ARCHIVED

    @property
    def live(self) -> list[int]:
        return [number for number in self.stages if number not in self.deleted]

    def answers(self) -> dict[str, int]:
        """Tell which version each selector means; 0 for none."""
        said = {f"@{alias}": self.aliases.get(alias, 0) for alias in ALIASES}
        for name, stage in STAGES.items():
            said[f"@{name}"] = max((n for n in self.live if self.stages[n] == stage), default=0)
        said["latest"] = said["@latest"] = max(self.live, default=0)
        for number in range(1, 9):
            said[str(number)] = number if number in self.stages else 0
        for wanted in set(self.digests.values()):
            said[wanted] = max((n for n in self.live if self.digests[n] == wanted), default=0)
        return said


def _act(registry: Registry, model: Model, rng: random.Random, digests: list[str]) -> None:
    """Do something at random, in the registry and in the model."""
    number = rng.choice(sorted(model.live)) if model.live else 0
    alias = rng.choice(ALIASES)
    kind = rng.randrange(10)
    if (kind < 2 and len(model.stages) < 7) or not number:
        names = rng.sample(ALIASES, rng.randrange(3))
        made = registry.create(files=rng.choice(digests), aliases=names)
        model.stages[made.number] = version_pb2.STAGE_DEVELOPMENT
        model.digests[made.number] = made.record.digest
        for name in names:
            model.point(name, made.number)
    elif kind < 6:
        registry.set_alias(alias, number)
        model.point(alias, number)
    elif kind < 7 and alias in model.aliases:
        registry.remove_alias(alias)
        model.remove(alias)
    elif kind < 9 and number not in model.aliases.values():
        registry.delete(number)
        model.deleted.add(number)
    elif model.deleted:
        back = rng.choice(sorted(model.deleted))
        registry.undelete(back)
        model.deleted.discard(back)


def _as_of(registry: Registry, selector: str, time: Timestamp) -> version_pb2.Version | None:
    request = pb.GetVersionRequest(name=registry.version(selector), as_of_time=time)
    try:
        return registry.versions.GetVersion(request)
    except grpc.RpcError as error:
        if status(error).reason != "RESOURCE_NOT_FOUND":
            raise
        return None


def _earlier(event: event_pb2.Event) -> Timestamp:
    time = Timestamp()
    time.FromMicroseconds(event.log_time.ToMicroseconds() - 1)
    return time


def test_every_selector_is_exact_to_every_event(registry: Registry) -> None:
    rng = random.Random(5)
    digests = [registry.seal({"f": bytes([n])}) for n in range(3)]
    model = Model()
    # The namespace's own event came first.
    then = [model.copy()]
    while len(then) < 45:
        known = len(registry.log())
        _act(registry, model, rng, digests)
        if len(registry.log()) > known:
            then.append(model.copy())

    events = registry.log()
    assert len(events) == len(then)
    for before, after, event in zip(then, then[1:], events[1:], strict=False):
        _agrees(registry, before, _earlier(event))
        _agrees(registry, after, event.log_time)


def _agrees(registry: Registry, model: Model, time: Timestamp) -> None:
    if not model.stages:
        return
    for selector, number in model.answers().items():
        found = _as_of(registry, selector, time)
        assert (found.number if found else 0) == number, (selector, time)
        if found is None:
            continue
        pointed = sorted(name for name, target in model.aliases.items() if target == number)
        assert list(found.aliases) == pointed
        assert found.stage == model.stages[number]
        assert found.etag == ""
        assert found.HasField("delete_time") == (number in model.deleted)


def test_now_is_as_of_the_last_event(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    registry.create(aliases=["champion", "production"])

    last = registry.log()[-1].log_time
    for selector in ("@champion", "@production", "latest", "1", "2"):
        now = registry.get(selector)
        now.etag = ""
        assert _as_of(registry, selector, last) == now


def test_nothing_was_before_the_first_event(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    before = _earlier(registry.log(registry.asset())[0])

    for selector in ("@champion", "latest", "1", registry.get(1).record.digest):
        assert _as_of(registry, selector, before) is None


def test_a_deleted_version_was_deleted_when_it_was(registry: Registry) -> None:
    registry.create()
    first = registry.delete(1)
    registry.undelete(1)
    registry.delete(1)
    registry.undelete(1)
    times = [event.log_time for event in registry.log(registry.asset())]

    found = [_as_of(registry, "1", time) for time in times]

    assert [version is not None and version.HasField("delete_time") for version in found] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert found[1] is not None
    assert found[1].delete_time == first.delete_time == times[1]


class _Clock:
    """The machine's clock, set by hand; in microseconds since 1970 UTC."""

    def __init__(self) -> None:
        self.now = clock.now_us() + 1_000_000


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """The clock of the server of `alone`."""
    hands = _Clock()
    for module in (records, resolve):
        monkeypatch.setattr(module, "now_us", lambda: hands.now)
    return hands


@pytest.fixture
def alone(channel: grpc.Channel) -> Registry:
    """A registry that no other test speaks to, since its clock is set."""
    return Registry(channel, "default")


def test_no_later_event_comes_before_a_time_that_was_answered(
    alone: Registry, hands: _Clock
) -> None:
    alone.create(aliases=["champion"])
    alone.create()
    for number in (2, 1, 2, 1):
        hands.now += 1_000
        time = Timestamp()
        time.FromMicroseconds(hands.now)
        answer = _as_of(alone, "@champion", time)
        hands.now -= 500
        alone.set_alias("champion", number)
        hands.now += 10_000
        assert _as_of(alone, "@champion", time) == answer


def test_each_event_is_later_than_the_one_before(alone: Registry, hands: _Clock) -> None:
    alone.create(aliases=["champion"])
    for number in (2, 1, 2):
        alone.create()
        alone.set_alias("champion", number)

    times = [event.log_time.ToMicroseconds() for event in alone.log()]

    assert times == sorted(set(times))


def test_a_deleted_assets_past_is_told_up_to_its_deletion(registry: Registry) -> None:
    registry.create(aliases=["champion"])
    then = registry.log()[-1].log_time
    registry.remove_alias("champion")
    registry.assets.DeleteAsset(DeleteAssetRequest(name=registry.asset()))
    deleted = registry.log()[-1].log_time

    name = registry.version("@champion")
    request = pb.GetVersionRequest(name=name, as_of_time=then)
    assert registry.versions.GetVersion(request).number == 1
    moves = registry.versions.ListAliasChanges(pb.ListAliasChangesRequest(parent=registry.asset()))
    assert len(moves.alias_changes) == 2
    with refused("FAILED_PRECONDITION", "ASSET_DELETED"):
        registry.versions.GetVersion(pb.GetVersionRequest(name=name, as_of_time=deleted))


def test_an_undeleted_asset_was_deleted_when_it_was(registry: Registry) -> None:
    registry.create()
    for _ in range(2):
        registry.assets.DeleteAsset(DeleteAssetRequest(name=registry.asset()))
        registry.assets.UndeleteAsset(UndeleteAssetRequest(name=registry.asset()))
    created, *others = [event.log_time for event in registry.log(registry.asset())]

    assert _as_of(registry, "latest", created) is not None
    for deleted, undeleted in zip(others[::2], others[1::2], strict=True):
        name = registry.version("latest")
        with refused("FAILED_PRECONDITION", "ASSET_DELETED"):
            registry.versions.GetVersion(pb.GetVersionRequest(name=name, as_of_time=deleted))
        assert _as_of(registry, "latest", undeleted) is not None
