"""Repeats: a `request_id` has one answer and one effect."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.running import RunningServer
from tests.services.footprint import nothing_left
from tests.services.wire import Registry, refused
from tests.services.writes import LONG_WORK, WRITES, fill, rpcs_with_request_ids, writes

from modelkeep.v1 import version_pb2, version_service_pb2


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """A namespace where each of the writes can be done."""
    fill(registry)
    return registry


def _event_id(call: Any) -> str:
    return str(dict(call.trailing_metadata())["modelkeep-event-id"])


@pytest.mark.parametrize("what", WRITES)
def test_a_repeat_has_the_first_answer_and_no_effect(
    filled: Registry, shared: RunningServer, what: str
) -> None:
    write = writes(filled)[what]
    first, first_call = write.on(filled).with_call(write.request, metadata=filled.metadata)

    with nothing_left(shared):
        second, second_call = write.on(filled).with_call(write.request, metadata=filled.metadata)

    assert second == first
    assert _event_id(second_call) == _event_id(first_call) != ""


@pytest.mark.parametrize("what", WRITES)
def test_a_request_id_with_another_body_is_refused(
    filled: Registry, shared: RunningServer, what: str
) -> None:
    write = writes(filled)[what]
    request = write.request
    write.on(filled)(request, metadata=filled.metadata)
    write.change(request)

    with (
        nothing_left(shared),
        refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED", "request_id") as refusal,
    ):
        write.on(filled)(request, metadata=filled.metadata)

    assert refusal.metadata == {"request_id": request.request_id}


def test_every_write_of_the_contract_is_here(filled: Registry) -> None:
    there = {write.rpc for write in writes(filled).values()}

    assert there | LONG_WORK == rpcs_with_request_ids()


def test_a_repeat_is_answered_as_things_were(registry: Registry) -> None:
    request_id = str(uuid.uuid4())
    first = registry.create(files={"f": b"1"}, request_id=request_id)
    registry.create()
    registry.delete(1)

    assert registry.create(files={"f": b"1"}, request_id=request_id) == first


def test_a_refused_call_is_not_kept(registry: Registry) -> None:
    registry.create()
    request_id = str(uuid.uuid4())
    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND"):
        registry.set_alias("a", 2, request_id=request_id)
    registry.create()

    assert registry.set_alias("a", 2, request_id=request_id).version == registry.version(2)


def test_a_request_id_is_the_callers_own(registry: Registry) -> None:
    request_id = str(uuid.uuid4())
    sealed = registry.seal({"f": b"1"})

    first = registry.create(files=sealed, request_id=request_id)
    second = registry.as_user("someone").create(files=sealed, request_id=request_id)

    assert (first.number, second.number) == (1, 2)


def test_a_request_id_is_the_methods_own(registry: Registry) -> None:
    request_id = str(uuid.uuid4())
    registry.create(request_id=request_id)

    assert registry.set_alias("a", 1, request_id=request_id).etag == "r1"


def test_a_call_that_changed_nothing_is_kept_without_an_event(registry: Registry) -> None:
    sealed = registry.create().record.digest
    request = version_service_pb2.CreateVersionRequest(
        parent=registry.asset(),
        version=version_pb2.Version(record=version_pb2.VersionRecord(digest=sealed)),
        if_changed=True,
        request_id=str(uuid.uuid4()),
    )
    first, call = registry.versions.CreateVersion.with_call(request)
    registry.create()

    assert first.number == 1
    assert "modelkeep-event-id" not in dict(call.trailing_metadata())
    assert registry.versions.CreateVersion(request).number == 1


def test_repeats_at_once_have_one_effect(registry: Registry) -> None:
    sealed = registry.seal({"f": b"1"})
    request_id = str(uuid.uuid4())

    with ThreadPoolExecutor(16) as pool:
        made = list(
            pool.map(
                lambda _: registry.create(files=sealed, request_id=request_id).number, range(16)
            )
        )

    assert made == [1] * 16
    assert registry.numbers() == [1]
