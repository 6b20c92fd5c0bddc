"""`production`: an alias and a stage that can't disagree."""

import random

from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, refused

from modelkeep.v1 import version_pb2, version_service_pb2

DEVELOPMENT = version_pb2.STAGE_DEVELOPMENT
PRODUCTION = version_pb2.STAGE_PRODUCTION
ARCHIVED = version_pb2.STAGE_ARCHIVED


def _stages(registry: Registry) -> list[int]:
    answer = registry.versions.ListVersions(
        version_service_pb2.ListVersionsRequest(parent=registry.asset())
    )
    return [version.stage for version in reversed(answer.versions)]


def test_production_puts_a_version_into_production(registry: Registry) -> None:
    registry.create()
    registry.set_alias("production", 1)

    assert registry.get("@production").stage == PRODUCTION
    assert list(registry.get(1).aliases) == ["production"]
    assert registry.get(1).etag == "r2"


def test_production_archives_the_version_before(registry: Registry) -> None:
    registry.create(aliases=["production"])
    registry.create()

    registry.set_alias("production", 2)

    assert _stages(registry) == [ARCHIVED, PRODUCTION]
    event = registry.log()[-1]
    assert event.record.act == "alias.set"
    assert sorted(change.resource for change in event.record.changes) == [
        registry.alias("production"),
        registry.version(1),
        registry.version(2),
    ]


def test_a_version_may_begin_in_production(registry: Registry) -> None:
    registry.create(aliases=["production"])
    second = registry.create(aliases=["production"])

    assert second.stage == PRODUCTION
    assert _stages(registry) == [ARCHIVED, PRODUCTION]


def test_removing_production_archives_its_version(registry: Registry) -> None:
    registry.create(aliases=["production"])

    registry.remove_alias("production")

    assert _stages(registry) == [ARCHIVED]
    assert registry.get("@archived").number == 1
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.get("@production")


def test_an_archived_version_goes_back_to_production(registry: Registry) -> None:
    registry.create(aliases=["production"])
    registry.create(aliases=["production"])

    registry.set_alias("production", 1)

    assert _stages(registry) == [PRODUCTION, ARCHIVED]


def test_production_moved_with_a_stale_etag_moves_no_stage(
    registry: Registry, shared: RunningServer
) -> None:
    registry.create(aliases=["production"])
    registry.create()

    with nothing_left(shared), refused("ABORTED", "ETAG_MISMATCH"):
        registry.set_alias("production", 2, etag="r9")

    assert _stages(registry) == [PRODUCTION, DEVELOPMENT]


def test_other_aliases_move_no_stage(registry: Registry) -> None:
    registry.create(aliases=["champion"])

    assert _stages(registry) == [DEVELOPMENT]


def test_alias_and_stage_agree_after_any_moves(registry: Registry) -> None:
    rng = random.Random(7)
    for _ in range(4):
        registry.create()
    current = 0
    for _ in range(25):
        wanted = rng.randrange(5)
        if wanted:
            registry.set_alias("production", wanted)
        elif current:
            registry.remove_alias("production")
        current = wanted

        in_production = [n for n, stage in enumerate(_stages(registry), 1) if stage == PRODUCTION]
        assert in_production == ([current] if current else [])
        pointed = [n for n in range(1, 5) if "production" in registry.get(n).aliases]
        assert pointed == in_production


def test_a_restored_version_begins_in_development(registry: Registry) -> None:
    registry.create(aliases=["production"])

    restored = registry.versions.RestoreVersion(
        version_service_pb2.RestoreVersionRequest(name=registry.version(1))
    )

    assert (restored.stage, list(restored.aliases)) == (DEVELOPMENT, [])
    assert registry.get("@production").number == 1
