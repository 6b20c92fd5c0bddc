"""Any version, time and digest comes back from its stored bytes as it was."""

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.errors import DataLossError
from modelkeep.v1 import version_pb2
from modelkeep_server.records import encode

TEXT = st.text(max_size=20)
_SHORT = st.binary(max_size=8)
LABELS = st.dictionaries(TEXT, TEXT, max_size=4)
METRICS = st.dictionaries(TEXT, st.floats(allow_nan=False), max_size=4)
PARAMETERS = st.dictionaries(
    TEXT,
    st.one_of(
        st.builds(version_pb2.ParameterValue, int_value=st.integers(-(2**63), 2**63 - 1)),
        st.builds(version_pb2.ParameterValue, string_value=TEXT),
        st.builds(version_pb2.ParameterValue, bool_value=st.booleans()),
    ),
    max_size=4,
)
RECORDS = st.builds(
    version_pb2.VersionRecord,
    digest=TEXT,
    metrics=METRICS,
    parameters=PARAMETERS,
    size=st.integers(0, 2**63 - 1),
)
TIMES = st.none() | st.builds(
    Timestamp, seconds=st.integers(-(10**9), 10**10), nanos=st.integers(0, 999_999_999)
)
VERSIONS = st.builds(
    version_pb2.Version,
    name=TEXT,
    number=st.integers(0, 2**31 - 1),
    record=st.none() | RECORDS,
    display_name=TEXT,
    labels=LABELS,
    stage=st.sampled_from(version_pb2.Stage.values()),
    aliases=st.lists(TEXT, max_size=3),
    update_time=TIMES,
    delete_time=TIMES,
    purged=st.booleans(),
    etag=TEXT,
)


@given(VERSIONS)
def test_any_version_comes_back_from_its_two_parts(version: version_pb2.Version) -> None:
    stored = encode.version_base(version) + encode.version_tail(version)

    assert version_pb2.Version.FromString(stored) == version


@given(VERSIONS, VERSIONS)
def test_another_tail_leaves_nothing_of_the_one_before(
    version: version_pb2.Version, other: version_pb2.Version
) -> None:
    found = version_pb2.Version.FromString(
        encode.version_base(version) + encode.version_tail(other)
    )

    for name in encode.BASE_FIELDS:
        assert getattr(found, name) == getattr(version, name)
    for name in encode.TAIL_FIELDS:
        assert getattr(found, name) == getattr(other, name)


@given(st.integers(-(10**15), 10**16))
def test_a_time_comes_back_to_the_microsecond(time_us: int) -> None:
    time = encode.timestamp(time_us)

    assert encode.microseconds(time) == time_us
    assert 0 <= time.nanos < 10**9


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_comes_back(raw: bytes) -> None:
    assert encode.digest_bytes(encode.digest_text(raw)) == raw


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_protobuf_reads_them_or_refused(raw: bytes) -> None:
    try:
        expected = version_pb2.Version.FromString(raw)
    except DecodeError:
        with pytest.raises(DataLossError) as refused:
            encode.read_stored(version_pb2.Version, raw)
        assert refused.value.reason == "RECORD_DAMAGED"
        assert refused.value.metadata == {"type": "modelkeep.v1.Version"}
    else:
        assert encode.read_stored(version_pb2.Version, raw) == expected


@given(VERSIONS, st.data())
def test_a_version_with_a_broken_field_is_refused(
    version: version_pb2.Version, data: st.DataObject
) -> None:
    stored = encode.version_base(version) + encode.version_tail(version)

    with pytest.raises(DataLossError):
        # A field that says that 9 bytes follow, and has fewer.
        encode.read_stored(version_pb2.Version, stored + b"\x0a\x09" + data.draw(_SHORT))
