"""Leases of staged parts: who comes late writes nothing, and a renewal says nothing of bytes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from modelkeep_server.records import staging
from modelkeep_server.records.opening import open_records
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.staging import Part

T = TypeVar("T")
SCOPE, WHO, DIGEST = "namespaces/default", "principals/a", f"sha256:{'ab' * 32}"


@pytest.fixture
def records(tmp_path: Path, database: str | None) -> Iterator[Records]:
    with open_records(database, tmp_path / "data", print) as records:
        yield records


def _part(records: Records) -> Part:
    return records.bookkeep(lambda tx: staging.add(tx, SCOPE, WHO, DIGEST, "key", 100, 0))


def _durable(records: Records) -> int:
    part = staging.find(records.read(), SCOPE, WHO, DIGEST)
    assert part is not None
    return part.durable_size


@pytest.mark.parametrize(
    "late",
    [
        lambda part: lambda tx: staging.keep(tx, part, 99, 2, 3),
        lambda part: lambda tx: staging.renew(tx, part, 2, 3),
        lambda part: lambda tx: staging.drop(tx, part),
    ],
    ids=["keep", "renew", "drop"],
)
@pytest.mark.parametrize(
    "take",
    [
        lambda part: lambda tx: staging.take(tx, part, 1),
        lambda part: lambda tx: staging.begin_anew(tx, part, "other key", 90, 1),
    ],
    ids=["go on", "begin anew"],
)
def test_who_lost_the_lease_changes_nothing(
    records: Records,
    take: Callable[[Part], Callable[[Session], Part]],
    late: Callable[[Part], Callable[[Session], bool]],
) -> None:
    first = _part(records)
    second = records.bookkeep(take(first))

    assert not records.bookkeep(late(first))
    assert staging.find(records.read(), SCOPE, WHO, DIGEST) == second


def test_a_renewal_leaves_alone_what_is_durable(records: Records) -> None:
    part = _part(records)
    records.bookkeep(lambda tx: staging.keep(tx, part, 80, 1, 2))

    assert records.bookkeep(lambda tx: staging.renew(tx, part, 3, 4))

    assert _durable(records) == 80
