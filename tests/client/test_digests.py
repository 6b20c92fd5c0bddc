"""Digests of records are the same in every language: `tests/vectors/record_digests.json`."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

import modelkeep
from modelkeep import digests
from modelkeep.v1 import recipe_pb2, version_pb2, version_service_pb2

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "record_digests.json").read_text("ascii")
)


@pytest.mark.parametrize("vector", VECTORS["record"], ids=lambda vector: vector["why"])
def test_a_record_has_the_digest_of_its_vector(vector: dict[str, Any]) -> None:
    record = ParseDict(vector["json"], version_pb2.VersionRecord())

    assert digests.canonical(record).decode() == vector["canonical"]
    assert modelkeep.record_digest(record) == vector["digest"]


@pytest.mark.parametrize("vector", VECTORS["recipe"], ids=lambda vector: vector["why"])
def test_a_recipe_has_the_digest_of_its_vector(vector: dict[str, Any]) -> None:
    recipe = ParseDict(vector["json"], recipe_pb2.Recipe())

    assert digests.canonical(recipe).decode() == vector["canonical"]
    assert modelkeep.recipe_digest(recipe) == vector["digest"]


def test_no_two_vectors_have_one_digest() -> None:
    found = [vector["digest"] for vectors in VECTORS.values() for vector in vectors]

    assert len(set(found)) == len(found)


def test_the_server_answers_the_digests_that_the_sdk_computes(
    registry: modelkeep.Client, tmp_path: Path
) -> None:
    (tmp_path / "m").write_bytes(b"x")
    version = registry.push(
        "churn", tmp_path / "m", params={"a": 1, "b": 0.1}, metrics={"auc": 1e21}, note="é\n"
    )

    versions = registry._wire.versions  # the raw messages
    name = version_service_pb2.GetVersionRequest(name=version.name)
    record = registry._wire.call(versions.GetVersion, name).record
    recipe_name = version_service_pb2.GetRecipeRequest(name=version.name)
    recipe = registry._wire.call(versions.GetRecipe, recipe_name)
    assert modelkeep.record_digest(record) == version.record_digest
    assert modelkeep.recipe_digest(recipe) == version.recipe_digest
