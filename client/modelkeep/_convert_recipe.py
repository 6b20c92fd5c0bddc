"""Recipes between messages and handles."""

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from modelkeep import _convert_values as values
from modelkeep._recipe import CodeRevision, Environment, Hardware, Package, Recipe
from modelkeep.v1 import recipe_pb2


def recipe(message: recipe_pb2.Recipe) -> Recipe:
    """Read a recipe."""
    return Recipe(
        code=_code(message.code) if message.HasField("code") else None,
        environment=_environment(message.environment) if message.HasField("environment") else None,
        hardware=_hardware(message.hardware) if message.HasField("hardware") else None,
        command=tuple(message.command),
        seed=message.seed if message.HasField("seed") else None,
        parameters=MessageToDict(message.parameters),
        start_time=values.time_or_none(message.start_time),
        end_time=values.time_or_none(message.end_time),
    )


def _code(message: recipe_pb2.CodeRevision) -> CodeRevision:
    return CodeRevision(message.revision, message.remote, message.branch, message.dirty)


def _environment(message: recipe_pb2.Environment) -> Environment:
    return Environment(
        message.platform,
        message.runtime,
        tuple(Package(item.name, item.version, tuple(item.hashes)) for item in message.packages),
    )


def _hardware(message: recipe_pb2.Hardware) -> Hardware:
    return Hardware(
        message.architecture, message.cpu_count, message.memory, tuple(message.accelerators)
    )


def recipe_message(recipe: Recipe) -> recipe_pb2.Recipe:
    """Write a recipe."""
    message = recipe_pb2.Recipe(command=recipe.command)
    if recipe.code:
        code = recipe.code
        message.code.CopyFrom(
            recipe_pb2.CodeRevision(
                revision=code.revision, remote=code.remote, branch=code.branch, dirty=code.dirty
            )
        )
    if recipe.environment:
        message.environment.platform = recipe.environment.platform
        message.environment.runtime = recipe.environment.runtime
        for item in recipe.environment.packages:
            message.environment.packages.add(
                name=item.name, version=item.version, hashes=item.hashes
            )
    if recipe.hardware:
        hardware = recipe.hardware
        message.hardware.CopyFrom(
            recipe_pb2.Hardware(
                architecture=hardware.architecture,
                cpu_count=hardware.cpu_count,
                memory=hardware.memory,
                accelerators=hardware.accelerators,
            )
        )
    if recipe.seed is not None:
        message.seed = recipe.seed
    if recipe.parameters:
        message.parameters.update(_json(recipe.parameters))
    if recipe.start_time:
        message.start_time.CopyFrom(values.timestamp(recipe.start_time, "recipe.start_time"))
    if recipe.end_time:
        message.end_time.CopyFrom(values.timestamp(recipe.end_time, "recipe.end_time"))
    return message


def _json(value: Any) -> Any:
    """Give parameters as JSON has them; what it has no form for, as its text."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(item) for item in value]
    plain = values.plain(value)
    if plain is None or isinstance(plain, bool | str):
        return plain
    if isinstance(plain, int) and abs(plain) <= 2**53:
        return plain
    return plain if isinstance(plain, float) and math.isfinite(plain) else str(plain)
