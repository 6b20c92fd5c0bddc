"""Names, paths and references follow the one grammar of `tests/vectors/`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep import names
from modelkeep.errors import InvalidArgumentError
from modelkeep.names import (
    AliasName,
    AssetName,
    NamespaceName,
    Reference,
    VersionName,
    VersionSelector,
)

VECTORS = Path(__file__).parents[1] / "vectors"
REFERENCES = json.loads((VECTORS / "references.json").read_text("ascii"))
NAMES = json.loads((VECTORS / "names.json").read_text("ascii"))
ALL_RULES: dict[str, Callable[[str, str], object]] = {
    "name": names.check_name,
    "alias": names.check_alias,
    "key": names.check_key,
    "path": names.check_path,
    "digest": names.check_digest,
    "resource_namespace": NamespaceName.parse,
    "resource_asset": AssetName.parse,
    "resource_version": VersionName.parse,
    "resource_alias": AliasName.parse,
    "resource_version_selector": VersionSelector.parse,
}

a_name = st.from_regex(r"[A-Za-z0-9](\.?[A-Za-z0-9_-]){0,60}", fullmatch=True)
a_number = st.integers(1, names.MAX_NUMBER)
an_alias = a_name.filter(lambda text: not text.isdigit() and text != "latest")


def _accepts(check: Callable[[str, str], object], text: str) -> bool:
    try:
        check(text, "field")
    except InvalidArgumentError:
        return False
    return True


a_path = st.text(min_size=1, max_size=60).filter(lambda text: _accepts(names.check_path, text))


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(rule, vector, id=f"{rule}-{number}")
        for rule, vectors in NAMES.items()
        for number, vector in enumerate(vectors[kind])
    ]


def test_every_rule_has_vectors() -> None:
    assert NAMES.keys() == ALL_RULES.keys()


@pytest.mark.parametrize(("rule", "text"), _cases("valid"))
def test_a_good_name_is_accepted_as_it_is(rule: str, text: str) -> None:
    parsed = ALL_RULES[rule](text, "asset_id")

    assert parsed is None or str(parsed) == text


@pytest.mark.parametrize(("rule", "vector"), _cases("invalid"))
def test_a_bad_name_is_refused_with_its_field(rule: str, vector: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        ALL_RULES[rule](vector["input"], "asset_id")

    assert refused.value.reason == vector["reason"], vector["why"]
    assert [violation.field for violation in refused.value.fields] == ["asset_id"]
    _assert_safe_on_a_terminal(refused.value)


@pytest.mark.parametrize("vector", REFERENCES["valid"], ids=lambda vector: ascii(vector["input"]))
def test_a_reference_is_read(vector: dict[str, Any]) -> None:
    namespace = vector.get("default_namespace", "default")
    reference = Reference.parse(vector["input"], default_namespace=namespace)

    parts = ("namespace", "asset", "number", "alias", "path", "selector", "version_path")
    assert {part: getattr(reference, part) for part in parts} == {
        part: vector[part] for part in parts
    }
    assert str(reference) == vector["canonical"]
    assert Reference.parse(vector["canonical"]) == reference
    assert Reference.parse(reference.url) == reference
    assert str(VersionSelector.parse(reference.version_path)) == reference.version_path


@pytest.mark.parametrize("vector", REFERENCES["invalid"], ids=lambda vector: ascii(vector["input"]))
def test_a_bad_reference_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Reference.parse(vector["input"], vector.get("default_namespace", "default"))

    assert refused.value.reason == "REFERENCE_INVALID", vector["why"]
    assert [violation.field for violation in refused.value.fields] == ["reference"]
    _assert_safe_on_a_terminal(refused.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("churn:latest", "@latest"),
        ("churn:champion", "@champion"),
        ("a/b/c", "a path needs :NUMBER or @ALIAS"),
        ("MODELKEEP://churn", "modelkeep://"),
        ("churn@7", "is a number"),
    ],
)
def test_a_refused_reference_says_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=hint):
        Reference.parse(text)


@given(a_name, a_name, st.none() | a_number | an_alias, st.just("") | a_path)
def test_any_reference_survives_a_round_trip(
    namespace: str, asset: str, which: int | str | None, path: str
) -> None:
    number = which if isinstance(which, int) else None
    alias = which if isinstance(which, str) else None
    reference = Reference(namespace, asset, number, alias, path)

    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.url, default_namespace="other") == reference
    assert VersionSelector.parse(reference.version_path) == reference.version


@given(st.text() | st.text("ab7:@/.%\\ \n"))
def test_any_text_is_read_or_refused_and_what_is_read_is_sound(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgumentError as refused:
        _assert_safe_on_a_terminal(refused)
        return
    names.check_name(reference.namespace, "namespace")
    names.check_name(reference.asset, "asset")
    if reference.path:
        names.check_path(reference.path, "path")
    assert Reference.parse(str(reference)) == reference


@given(a_name, a_name, a_number, a_name)
def test_resource_names_survive_a_round_trip(
    namespace: str, asset: str, number: int, alias: str
) -> None:
    version = VersionName(namespace, asset, number)
    pointer = AliasName(namespace, asset, alias)

    assert VersionName.parse(str(version)) == version
    assert AliasName.parse(str(pointer)) == pointer
    assert version.parent == pointer.parent == AssetName.parse(str(version.parent))
    assert version.parent.parent == NamespaceName.parse(str(version.parent.parent))


@pytest.mark.parametrize("text", ["", "a", "a" * 300, "\u202e", "\x1b[2J" * 40, "'", "\ud800"])
def test_a_shown_text_is_short_and_plain(text: str) -> None:
    assert len(names.shown(text)) <= 80
    assert names.shown(text).isprintable()
    assert names.shown(text).isascii()


def test_names_that_differ_only_in_case_fold_to_one() -> None:
    assert names.fold("Churn") == names.fold("cHURN") != names.fold("churn2")


def _assert_safe_on_a_terminal(error: InvalidArgumentError) -> None:
    for text in (str(error), *error.metadata.values()):
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 400
