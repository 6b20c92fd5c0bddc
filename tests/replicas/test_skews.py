"""Two servers are asked at once for what can't both be: one does it, the other refuses."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import grpc
import pytest
from tests.replicas.conftest import Pair
from tests.services.wire import Registry, status

from modelkeep.v1 import asset_service_pb2, version_pb2, version_service_pb2

ROUNDS = 20


def _at_once(*acts: Callable[[], object]) -> list[str]:
    """Do these at the same moment; answer the reasons of refusals, empty where there was none."""
    together = Barrier(len(acts))

    def run(act: Callable[[], object]) -> str:
        together.wait()
        try:
            act()
        except grpc.RpcError as error:
            return status(error).reason
        return ""

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.fixture(params=[(0, 1), (1, 0)], ids=["one first", "other first"])
def sides(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    first, second = request.param
    return pair[first], pair[second]


def test_a_version_is_not_deleted_under_an_alias(sides: Pair) -> None:
    deleter, mover = sides
    outcomes = set()
    for number in range(1, ROUNDS + 1):
        deleter.create(files={"f": b"f"})
        deleted, moved = _at_once(
            lambda: deleter.delete(number),  # noqa: B023  # it is called in this round
            lambda: mover.set_alias(f"a{number}", number),  # noqa: B023
        )
        outcomes.add((deleted, moved))

    assert outcomes <= {("", "VERSION_DELETED"), ("VERSION_HELD", "")}


def test_an_input_is_not_deleted_under_its_user(sides: Pair) -> None:
    deleter, user = sides
    content = user.seal({"f": b"f"})
    outcomes = set()
    for number in range(1, ROUNDS + 1):
        deleter.create("data", files=content)
        source = version_pb2.Input(version=deleter.version(number, "data"))
        outcomes.add(
            tuple(
                _at_once(
                    lambda: deleter.delete(number, "data"),  # noqa: B023
                    lambda: user.create("model", files=content, inputs=[source]),  # noqa: B023
                )
            )
        )

    assert outcomes <= {("", "VERSION_DELETED"), ("VERSION_HELD", "")}


def test_an_asset_is_not_deleted_under_a_new_version(sides: Pair) -> None:
    deleter, user = sides
    content = user.seal({"f": b"f"})
    for number in range(ROUNDS):
        name = f"a{number}"
        deleter.create(name, files=content)
        request = asset_service_pb2.DeleteAssetRequest(name=deleter.asset(name))
        deleted, created = _at_once(
            lambda: deleter.assets.DeleteAsset(request),  # noqa: B023
            lambda: user.create(name, files=content, aliases=["champion"]),  # noqa: B023
        )

        assert (deleted, created) in {("", "ASSET_DELETED"), ("VERSION_HELD", "")}


def test_one_of_two_moves_under_one_etag_is_made(sides: Pair) -> None:
    one, other = sides
    one.create()
    one.create()
    etag = one.set_alias("champion", 1).etag
    for number in range(ROUNDS):
        target = 1 + (number + 1) % 2
        reasons = _at_once(
            lambda: one.set_alias("champion", target, etag=etag),  # noqa: B023
            lambda: other.set_alias("champion", target, etag=etag),  # noqa: B023
        )

        assert sorted(reasons) == ["", "ETAG_MISMATCH"]
        etag = _etag(one)


def _etag(registry: Registry) -> str:
    request = version_service_pb2.GetAliasRequest(name=registry.alias("champion"))
    return registry.versions.GetAlias(request).etag


def test_there_is_one_version_in_production(sides: Pair) -> None:
    one, other = sides
    for _ in range(2):
        one.create(files={"f": b"f"})
    for _ in range(ROUNDS):
        _at_once(lambda: one.set_alias("production", 1), lambda: other.set_alias("production", 2))
        stages = [one.get(number).stage for number in (1, 2)]

        assert stages.count(version_pb2.STAGE_PRODUCTION) == 1
        assert one.get("@production").stage == version_pb2.STAGE_PRODUCTION
