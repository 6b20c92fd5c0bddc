"""Comparison: what differs, by value and by type, as JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from modelkeep.v1 import recipe_pb2, version_pb2
from modelkeep_server.domain import comparison

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
SIDES = st.dictionaries(st.sampled_from("abcd"), VALUES)


def _differ(before: object, after: object) -> bool:
    return type(before) is not type(after) or before != after


@given(SIDES, SIDES)
def test_exactly_what_differs_is_listed_by_key(
    before: dict[str, object], after: dict[str, object]
) -> None:
    found = comparison.values(before, after)

    assert [change.key for change in found] == sorted(
        key
        for key in {*before, *after}
        if (key in before) != (key in after) or _differ(before.get(key), after.get(key))
    )
    for change in found:
        for side, name in ((before, "before"), (after, "after")):
            assert change.HasField(name) == (change.key in side)  # type: ignore[arg-type]
            if change.key in side:
                said = json.loads(getattr(change, name))
                assert said == side[change.key]
                assert type(said) is type(side[change.key])


def test_minus_zero_is_not_zero() -> None:
    (change,) = comparison.values({"a": 0.0}, {"a": -0.0})

    assert (change.before, change.after) == ("0.0", "-0.0")


def test_parameters_keep_their_types() -> None:
    record = version_pb2.VersionRecord(
        parameters={
            "int": version_pb2.ParameterValue(int_value=1),
            "double": version_pb2.ParameterValue(double_value=1),
            "bool": version_pb2.ParameterValue(bool_value=True),
            "text": version_pb2.ParameterValue(string_value="1"),
        }
    )

    found = comparison.parameters(record)

    assert {key: (type(value), value) for key, value in found.items()} == {
        "int": (int, 1),
        "double": (float, 1.0),
        "bool": (bool, True),
        "text": (str, "1"),
    }


def test_a_recipe_is_flattened_to_paths() -> None:
    recipe = recipe_pb2.Recipe(
        code=recipe_pb2.CodeRevision(revision="r", dirty=True),
        environment=recipe_pb2.Environment(
            packages=[recipe_pb2.Package(name="numpy", version="2")], platform="linux"
        ),
        command=["a", "b"],
        seed=0,
    )
    recipe.parameters.update({"a": {"b": [1, 2], "c": None}, "d": {}})

    assert comparison.recipe(recipe.SerializeToString()) == {
        "code.revision": "r",
        "code.dirty": True,
        "environment.packages.numpy": "2",
        "environment.platform": "linux",
        "command": ["a", "b"],
        "seed": "0",
        "parameters.a.b": [1.0, 2.0],
        "parameters.a.c": None,
        "parameters.d": {},
    }


def test_no_recipe_is_nothing() -> None:
    assert comparison.recipe(None) == comparison.recipe(b"") == {}
