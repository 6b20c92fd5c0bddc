"""Pages: every list in order, whole, once, whatever the size; tokens of no other query."""

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.services.wire import MIB, Registry, pages, refused

from modelkeep.v1 import (
    asset_service_pb2,
    event_service_pb2,
    monitoring_service_pb2,
    namespace_service_pb2,
    operation_service_pb2,
    version_pb2,
    version_service_pb2,
)


@dataclass(frozen=True)
class Listing:
    """A list of the contract: how to ask for a page, and what an entry is known by."""

    call: Callable[..., Any]
    items: str
    key: Callable[[Any], Any]


def _listings(r: Registry) -> dict[str, Listing]:
    v, s = version_service_pb2, r.versions
    return {
        "namespaces": Listing(
            lambda **p: r.namespaces.ListNamespaces(
                namespace_service_pb2.ListNamespacesRequest(**p)
            ),
            "namespaces",
            lambda item: item.name.encode(),
        ),
        "assets": Listing(
            lambda **p: r.assets.ListAssets(
                asset_service_pb2.ListAssetsRequest(parent=r.name, **p)
            ),
            "assets",
            lambda item: item.name.encode(),
        ),
        "all assets": Listing(
            lambda **p: r.assets.ListAssets(
                asset_service_pb2.ListAssetsRequest(parent="namespaces/-", show_deleted=True, **p)
            ),
            "assets",
            lambda item: item.name.encode(),
        ),
        "versions": Listing(
            lambda **p: s.ListVersions(v.ListVersionsRequest(parent=r.asset(), **p)),
            "versions",
            lambda item: -item.number,
        ),
        "aliases": Listing(
            lambda **p: s.ListAliases(v.ListAliasesRequest(parent=r.asset(), **p)),
            "aliases",
            lambda item: item.name.encode(),
        ),
        "alias changes": Listing(
            lambda **p: s.ListAliasChanges(v.ListAliasChangesRequest(parent=r.asset(), **p)),
            "alias_changes",
            lambda item: (-int(item.event.split("/")[1]), [-b for b in item.alias.encode()]),
        ),
        "evaluations": Listing(
            lambda **p: r.monitoring.ListEvaluations(
                monitoring_service_pb2.ListEvaluationsRequest(parent=r.asset(), **p)
            ),
            "evaluations",
            lambda item: [-int(part) for part in item.name.split("/")[5::2]],
        ),
        "files": Listing(
            lambda **p: s.ListFiles(v.ListFilesRequest(parent=r.version(1), **p)),
            "files",
            lambda item: item.path.encode(),
        ),
        "events": Listing(
            lambda **p: r.events.ListEvents(
                event_service_pb2.ListEventsRequest(resource=r.asset(), **p)
            ),
            "events",
            lambda item: -item.position,
        ),
        "operations": Listing(
            lambda **p: r.operations.ListOperations(
                operation_service_pb2.ListOperationsRequest(**p)
            ),
            "operations",
            lambda _: 0,  # names are opaque: only wholeness can be seen
        ),
    }


NAMES = (
    "namespaces",
    "assets",
    "all assets",
    "versions",
    "aliases",
    "alias changes",
    "evaluations",
    "files",
    "events",
    "operations",
)


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """A namespace with more than a page of everything."""
    registry.create(
        files={f"{n}/é-{n}": b"1" for n in range(9)},
        aliases=[f"{'aZ'[n % 2]}{n}" for n in range(9)],
    )
    sealed = registry.get(1).record.digest
    for _ in range(8):
        registry.create(files=sealed)
    for number in (1, 9, 2, 9, 9, 1):
        registry.evaluate(number, metrics={"auc": 0.5})
    for name in ("b-c", "b.c", "b_c", "Bc", "B"):
        registry.create(name, sealed)
        registry.make_namespace()
    return registry


@pytest.mark.parametrize("name", NAMES)
def test_pages_of_any_size_hold_the_list_whole_and_once(filled: Registry, name: str) -> None:
    listing = _listings(filled)[name]
    whole = [
        item
        for page in pages(
            lambda token: listing.call(page_size=1000, page_token=token), listing.items
        )
        for item in page
    ]
    assert len(whole) >= 6
    assert [listing.key(item) for item in whole] == sorted(listing.key(item) for item in whole)

    for size in (1, 2, 5) if len(whole) < 200 else (len(whole) // 2, len(whole) - 1):
        found = pages(
            lambda token, size=size: listing.call(page_size=size, page_token=token),  # type: ignore[misc]
            listing.items,
        )
        assert [item for page in found for item in page] == whole
        assert {len(page) for page in found[:-1]} <= {size}
        assert 0 < len(found[-1]) <= size


@pytest.mark.parametrize("name", NAMES)
def test_a_list_of_exactly_one_page_has_no_token(filled: Registry, name: str) -> None:
    listing = _listings(filled)[name]
    count = len(getattr(listing.call(page_size=1000), listing.items))

    assert listing.call(page_size=count).next_page_token == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_token_of_another_query_is_refused(filled: Registry, name: str) -> None:
    listings = _listings(filled)
    token = listings[name].call(page_size=1).next_page_token

    for other in NAMES:
        if other != name:
            with refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", "page_token"):
                listings[other].call(page_token=token)


def test_a_token_is_bound_to_the_filter(filled: Registry) -> None:
    token = _listings(filled)["versions"].call(page_size=1).next_page_token

    for changed in ({"show_deleted": True}, {"stage": version_pb2.STAGE_DEVELOPMENT}):
        with refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", "page_token"):
            _listings(filled)["versions"].call(page_token=token, **changed)


def test_a_token_is_good_for_any_page_size(filled: Registry) -> None:
    token = filled.versions.ListVersions(
        version_service_pb2.ListVersionsRequest(parent=filled.asset(), page_size=2)
    ).next_page_token

    assert filled.numbers(page_size=3, page_token=token) == [7, 6, 5]


@pytest.mark.parametrize("name", NAMES)
def test_an_altered_token_is_refused(filled: Registry, name: str) -> None:
    listing = _listings(filled)[name]
    raw = base64.urlsafe_b64decode(listing.call(page_size=1).next_page_token)

    altered = [
        base64.urlsafe_b64encode(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]).decode()
        for at in range(0, len(raw), 3)
    ]
    for token in [*altered, "nonsense", "é", "====", base64.b64encode(raw[:16]).decode(), "A" * 99]:
        with refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", "page_token"):
            listing.call(page_token=token)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_not_smaller_than_nothing(filled: Registry, name: str) -> None:
    with refused("INVALID_ARGUMENT", "FIELD_INVALID", "page_size"):
        _listings(filled)[name].call(page_size=-1)
    with refused("INVALID_ARGUMENT", "FIELD_TOO_LONG", "page_token"):
        _listings(filled)[name].call(page_token="x" * 4097)


def test_a_page_has_fifty_entries_unless_told_and_a_thousand_at_most(registry: Registry) -> None:
    for start in range(0, 1001, 64):
        sealed = registry.create(
            f"a{start:04}",
            {"f": b"1"},
            aliases=[f"a{n}" for n in range(64)],
        ).record.digest
    registry.create("many", {f"{n:05}": b"1" for n in range(1001)})
    for _ in range(51):
        registry.create(files=sealed)

    assert len(registry.numbers()) == 50
    assert len(registry.numbers(page_size=2**31 - 1)) == 51
    files = version_service_pb2.ListFilesRequest(parent=registry.version(1, "many"))
    assert len(registry.versions.ListFiles(files).files) == 1000
    files.page_size = 2**31 - 1
    assert len(registry.versions.ListFiles(files).files) == 1001


def test_a_page_ends_early_at_a_mebibyte(registry: Registry) -> None:
    sealed = registry.create().record.digest
    text = version_pb2.ParameterValue(string_value="x" * 1024)
    for _ in range(9):
        registry.create(files=sealed, parameters={f"p{n}": text for n in range(240)})

    found = pages(
        lambda token: registry.versions.ListVersions(
            version_service_pb2.ListVersionsRequest(
                parent=registry.asset(), page_size=1000, page_token=token
            )
        ),
        "versions",
    )

    assert [version.number for page in found for version in page] == list(range(10, 0, -1))
    assert [len(page) for page in found] == [5, 5]
    for page in found:
        assert sum(version.ByteSize() for version in page[:-1]) < MIB


def test_what_is_added_meanwhile_does_not_shift_pages(registry: Registry) -> None:
    for _ in range(6):
        registry.create(files=registry.seal({"f": b"1"}))
    first = registry.versions.ListVersions(
        version_service_pb2.ListVersionsRequest(parent=registry.asset(), page_size=3)
    )
    registry.create()
    registry.delete(5)

    assert registry.numbers(page_token=first.next_page_token) == [3, 2, 1]


def test_a_token_outlives_its_entry(registry: Registry) -> None:
    registry.create(aliases=["a", "b", "c"])
    first = registry.versions.ListAliases(
        version_service_pb2.ListAliasesRequest(parent=registry.asset(), page_size=1)
    )
    registry.remove_alias("a")
    second = registry.versions.ListAliases(
        version_service_pb2.ListAliasesRequest(
            parent=registry.asset(), page_token=first.next_page_token
        )
    )

    assert [alias.name for alias in second.aliases] == [registry.alias("b"), registry.alias("c")]


def test_a_namespace_is_not_listed_with_another_that_begins_like_it(registry: Registry) -> None:
    short = f"n{uuid.uuid4().hex[:12]}"
    for name in (short, f"{short}-x", f"{short}.x", f"{short}0"):
        registry.namespaces.CreateNamespace(
            namespace_service_pb2.CreateNamespaceRequest(namespace_id=name)
        )
        Registry(registry.channel, name).create("a", {"f": b"1"})

    for name in (short, f"{short}-x", f"{short}.x", f"{short}0"):
        answer = registry.assets.ListAssets(
            asset_service_pb2.ListAssetsRequest(parent=f"namespaces/{name}")
        )
        assert [asset.name for asset in answer.assets] == [f"namespaces/{name}/assets/a"]
