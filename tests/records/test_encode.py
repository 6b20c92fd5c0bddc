"""Stored bytes: what is put together on the way out is the message, to the byte."""

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.v1 import asset_pb2, event_pb2, version_pb2, version_service_pb2
from modelkeep_server.records import encode

FULL = version_pb2.Version(
    name="namespaces/n/assets/a/versions/7",
    number=7,
    record=version_pb2.VersionRecord(
        digest="sha256:00",
        metrics={"b": 2.0, "a": 1.0},
        parameters={"z": version_pb2.ParameterValue(int_value=0)},
    ),
    record_digest="sha256:11",
    display_name="d",
    description="e",
    labels={"z": "1", "a": "2"},
    stage=version_pb2.STAGE_PRODUCTION,
    aliases=["a", "b"],
    update_time=Timestamp(seconds=1),
    delete_time=Timestamp(seconds=2),
    purge_time=Timestamp(seconds=3),
    purged=True,
    etag="r9",
)


def test_base_and_tail_share_no_field_and_leave_none_out() -> None:
    fields = {field.name for field in version_pb2.Version.DESCRIPTOR.fields}

    assert {field.name for field, _ in FULL.ListFields()} == fields
    assert fields == encode.BASE_FIELDS | encode.TAIL_FIELDS
    assert set() == encode.BASE_FIELDS & encode.TAIL_FIELDS


def test_base_and_tail_are_the_version() -> None:
    stored = encode.version_base(FULL) + encode.version_tail(FULL)

    assert version_pb2.Version.FromString(stored) == FULL


def test_a_part_has_nothing_of_the_other() -> None:
    base = version_pb2.Version.FromString(encode.version_base(FULL))
    tail = version_pb2.Version.FromString(encode.version_tail(FULL))

    assert {field.name for field, _ in base.ListFields()} == encode.BASE_FIELDS
    assert {field.name for field, _ in tail.ListFields()} == encode.TAIL_FIELDS


def test_the_logs_body_is_the_version_without_its_aliases() -> None:
    body = version_pb2.Version.FromString(encode.version_body(FULL))
    expected = version_pb2.Version()
    expected.CopyFrom(FULL)
    expected.ClearField("aliases")

    assert body == expected


def test_a_message_is_serialized_the_same_each_time() -> None:
    again = version_pb2.Version.FromString(FULL.SerializeToString())
    del again.labels["a"]
    again.labels["a"] = "2"

    assert encode.message_bytes(again) == encode.message_bytes(FULL)


def test_an_assets_counters_are_added() -> None:
    asset = asset_pb2.Asset(name="namespaces/n/assets/a", etag="r1")
    answer = asset_pb2.Asset.FromString(
        encode.asset_answer(encode.message_bytes(asset), 3, 2, 2**40)
    )

    assert (answer.name, answer.etag) == (asset.name, "r1")
    assert (answer.latest_number, answer.version_count, answer.size) == (3, 2, 2**40)


@given(st.lists(st.text(max_size=300), max_size=20), st.text(max_size=50))
def test_a_page_is_the_answer_of_its_list(names: list[str], token: str) -> None:
    items = [version_pb2.Version(name=name) for name in names]

    raw = encode.page(1, [item.SerializeToString() for item in items], 2, token)

    answer = version_service_pb2.ListVersionsResponse.FromString(raw)
    assert list(answer.versions) == items
    assert answer.next_page_token == token


def test_every_list_has_its_entries_in_field_1_and_its_token_in_field_2() -> None:
    from modelkeep.v1 import (
        asset_service_pb2,
        event_service_pb2,
        namespace_service_pb2,
        operation_service_pb2,
    )

    modules = (
        asset_service_pb2,
        event_service_pb2,
        namespace_service_pb2,
        operation_service_pb2,
        version_service_pb2,
    )
    lists = [
        message
        for module in modules
        for name, message in module.DESCRIPTOR.message_types_by_name.items()
        if name.startswith("List") and name.endswith("Response")
    ]
    assert len(lists) >= 8
    for message in lists:
        assert message.fields_by_number[1].is_repeated
        assert message.fields_by_number[2].name == "next_page_token"
        assert len(message.fields) == 2


@given(st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999))
def test_times_are_exact_to_the_microsecond(time_us: int) -> None:
    time = encode.timestamp(time_us)

    assert encode.microseconds(time) == time_us
    assert time.ToMicroseconds() == time_us


@given(st.binary(min_size=32, max_size=32))
def test_digests_are_read_as_they_are_written(raw: bytes) -> None:
    assert encode.digest_bytes(encode.digest_text(raw)) == raw


def test_a_leaf_has_the_event_and_its_place() -> None:
    leaf = encode.event_leaf(event_pb2.EventRecord(event_id="e"), 3, 1_500_000)
    read = event_pb2.LogLeaf.FromString(leaf)

    assert (read.position, read.log_time.ToMicroseconds()) == (3, 1_500_000)
    assert event_pb2.EventRecord.FromString(read.event).event_id == "e"
