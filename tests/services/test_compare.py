"""What differs between two versions."""

import pytest
from tests.services.test_versions import RECIPE
from tests.services.wire import Registry, digest, refused

from modelkeep.v1 import recipe_pb2, version_pb2
from modelkeep.v1 import version_service_pb2 as pb

Value = version_pb2.ParameterValue


def _compare(
    registry: Registry, base: str, other: str, **page: object
) -> pb.CompareVersionsResponse:
    request = pb.CompareVersionsRequest(base=base, other=other, **page)  # type: ignore[arg-type]
    return registry.versions.CompareVersions(request)


def _between(
    registry: Registry, base: int | str = 1, other: int | str = 2
) -> pb.CompareVersionsResponse:
    return _compare(registry, registry.version(base), registry.version(other))


def _said(changes: list[pb.ValueChange]) -> dict[str, tuple[str | None, str | None]]:
    return {
        change.key: (
            change.before if change.HasField("before") else None,
            change.after if change.HasField("after") else None,
        )
        for change in changes
    }


def test_equal_versions_have_no_difference(registry: Registry) -> None:
    sealed = registry.create(recipe=RECIPE, metrics={"a": 1}, labels={"l": "1"}).record.digest
    registry.create(files=sealed, recipe=RECIPE, metrics={"a": 1}, labels={"l": "1"})

    assert _between(registry) == pb.CompareVersionsResponse(
        base=registry.version(1), other=registry.version(2)
    )


def test_values_differ_by_value_and_by_type(registry: Registry) -> None:
    registry.create(
        parameters={
            "same": Value(int_value=1),
            "type": Value(int_value=1),
            "text": Value(string_value='a"ü'),
            "gone": Value(bool_value=True),
            "big": Value(int_value=2**63 - 1),
        },
        metrics={"auc": 0.5, "same": 1.0},
        labels={"team": "a"},
    )
    registry.create(
        parameters={
            "same": Value(int_value=1),
            "type": Value(double_value=1.0),
            "text": Value(string_value="1"),
            "new": Value(int_value=0),
            "big": Value(int_value=2**63 - 2),
        },
        metrics={"auc": 0.25, "same": 1.0},
        labels={"team": "b", "x": ""},
    )

    found = _between(registry)

    assert _said(list(found.parameters)) == {
        "big": ("9223372036854775807", "9223372036854775806"),
        "gone": ("true", None),
        "new": (None, "0"),
        "text": ('"a\\"ü"', '"1"'),
        "type": ("1", "1.0"),
    }
    assert [change.key for change in found.parameters] == ["big", "gone", "new", "text", "type"]
    assert _said(list(found.metrics)) == {"auc": ("0.5", "0.25")}
    assert _said(list(found.labels)) == {"team": ('"a"', '"b"'), "x": (None, '""')}


def test_recipes_differ_by_path(registry: Registry) -> None:
    changed = recipe_pb2.Recipe()
    changed.CopyFrom(RECIPE)
    changed.code.revision = "def"
    changed.environment.packages[0].version = "2.2"
    changed.environment.packages.add(name="scipy", version="1.0")
    changed.seed = 7
    changed.parameters.update({"nested": {"rate": 0.2}})
    registry.create(recipe=RECIPE)
    registry.create(recipe=changed)

    found = _between(registry)

    assert _said(list(found.recipe)) == {
        "code.revision": ('"abc"', '"def"'),
        "environment.packages.numpy": ('"2.1 sha256:00"', '"2.2 sha256:00"'),
        "environment.packages.scipy": (None, '"1.0"'),
        "parameters.nested.rate": ("0.1", "0.2"),
        "seed": ('"0"', '"7"'),
    }


def test_a_version_without_a_recipe_differs_in_all_of_it(registry: Registry) -> None:
    registry.create()
    registry.create(recipe=recipe_pb2.Recipe(command=["a"]))

    assert _said(list(_between(registry).recipe)) == {"command": (None, '["a"]')}


def test_files_differ_by_their_bytes(registry: Registry) -> None:
    registry.create(files={"a": b"1", "b": b"2", "d": b"4", "é": b"5"})
    registry.create(files={"a": b"1", "b": b"22", "c": b"3", "é": b"55"})

    found = _between(registry)

    def side(change: pb.FileChange, name: str) -> tuple[str, int] | None:
        file: pb.File = getattr(change, name)
        return (file.digest, file.size) if change.HasField(name) else None  # type: ignore[arg-type]

    assert [(c.path, side(c, "before"), side(c, "after")) for c in found.files] == [
        ("b", (digest(b"2"), 1), (digest(b"22"), 2)),
        ("c", None, (digest(b"3"), 1)),
        ("d", (digest(b"4"), 1), None),
        ("é", (digest(b"5"), 1), (digest(b"55"), 2)),
    ]


def test_versions_of_two_assets_are_compared_by_any_selector(registry: Registry) -> None:
    first = registry.create("one", {"f": b"1"}, aliases=["champion"])
    registry.create("two", {"f": b"1"}, metrics={"auc": 1})

    found = _compare(
        registry, registry.version("@champion", "one"), registry.version("latest", "two")
    )

    assert (found.base, found.other) == (first.name, registry.version(1, "two"))
    assert _said(list(found.metrics)) == {"auc": (None, "1.0")}
    assert not found.files


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_hold_every_file_once(registry: Registry, size: int) -> None:
    registry.create(files={f"{n:03}": b"1" for n in range(60)}, metrics={"a": 1})
    registry.create(files={f"{n:03}": b"2" if n % 2 else b"1" for n in range(20, 80)})
    names = (registry.version(1), registry.version(2))

    token, paths, metrics = "", [], []
    while True:
        found = _compare(registry, *names, page_size=size, page_token=token)
        paths += [change.path for change in found.files]
        metrics.append(len(found.metrics))
        assert len(found.files) <= size
        token = found.next_page_token
        if not token:
            break

    changed = [n for n in range(80) if n < 20 or n >= 60 or n % 2]
    assert paths == [f"{n:03}" for n in changed]
    assert metrics == [1] + [0] * (len(metrics) - 1)


def test_a_version_that_is_not_there_is_not_compared(registry: Registry) -> None:
    registry.create()

    with refused("NOT_FOUND", "RESOURCE_NOT_FOUND") as refusal:
        _between(registry, 1, 9)

    assert refusal.metadata["resource"] == registry.version(9)
