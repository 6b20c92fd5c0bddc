"""Updates: a mask changes what it names, and nothing else."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.errors import AbortedError, InvalidArgumentError
from modelkeep.v1 import namespace_pb2, version_pb2
from modelkeep_server.domain.updates import apply_mask, check_etag

CHANGEABLE = frozenset({"display_name", "description", "labels"})
TEXTS = st.sampled_from(["", "a", "b"])
VERSIONS = st.builds(
    version_pb2.Version,
    name=TEXTS,
    display_name=TEXTS,
    description=TEXTS,
    etag=TEXTS,
    labels=st.dictionaries(TEXTS, TEXTS, max_size=2),
    stage=st.integers(0, 5),
)


def _copy(version: version_pb2.Version) -> version_pb2.Version:
    copy = version_pb2.Version()
    copy.CopyFrom(version)
    return copy


@given(VERSIONS, VERSIONS, st.sets(st.sampled_from(sorted(CHANGEABLE)), min_size=1))
def test_a_mask_changes_what_it_names_and_tells_whether_it_did(
    before: version_pb2.Version, wanted: version_pb2.Version, paths: set[str]
) -> None:
    current = _copy(before)

    changed = apply_mask(current, wanted, FieldMask(paths=sorted(paths)), CHANGEABLE)

    for field in version_pb2.Version.DESCRIPTOR.fields:
        source = wanted if field.name in paths else before
        assert getattr(current, field.name) == getattr(source, field.name)
    assert changed == (current != before)


@pytest.mark.parametrize("path", ["", "stage", "labels.a", "Labels", "record.digest", " labels"])
def test_a_mask_that_names_something_else_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        apply_mask(
            version_pb2.Version(), version_pb2.Version(), FieldMask(paths=[path]), CHANGEABLE
        )

    assert refused.value.reason == "UPDATE_MASK_INVALID"
    assert refused.value.metadata == {"path": path}
    assert refused.value.fields[0].field == "update_mask"


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        apply_mask(version_pb2.Version(), version_pb2.Version(), FieldMask(), CHANGEABLE)

    assert "description, display_name, labels" in str(refused.value)


def test_a_message_is_replaced_and_not_merged() -> None:
    current = namespace_pb2.Namespace(undelete_period=Duration(seconds=5, nanos=7))
    wanted = namespace_pb2.Namespace(undelete_period=Duration(seconds=6))

    assert apply_mask(
        current, wanted, FieldMask(paths=["undelete_period"]), frozenset({"undelete_period"})
    )
    assert current == wanted


def test_an_etag_is_asked_for_only_where_one_is_given() -> None:
    check_etag("r", "r2", "")
    check_etag("r", "r2", "r2")
    with pytest.raises(AbortedError) as refused:
        check_etag("r", "r2", "r1")

    assert refused.value.reason == "ETAG_MISMATCH"
    assert refused.value.metadata == {"resource": "r", "etag": "r1", "actual": "r2"}
