"""Habits that a test keeps better than a reviewer."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from tests.running import RunningServer
from tools.mutants import Mutant, applies, mutants

from modelkeep import errors
from modelkeep.v1 import error_reason_pb2, options_pb2
from modelkeep_server.settings import CONFIG, SETTINGS

ROOT = Path(__file__).parent.parent
REASONS = {
    name.removeprefix("ERROR_REASON_")
    for name in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118  # an enum is no dict
} - {"UNSPECIFIED"}
ERROR_CLASSES = {cls.__name__ for cls in errors.Error.__subclasses__()}
VERBS = ("get", "put", "post", "delete", "patch")


def _files() -> Iterator[FileDescriptor]:
    for path in sorted((ROOT / "proto/modelkeep/v1").glob("*.proto")):
        yield importlib.import_module(f"modelkeep.v1.{path.stem}_pb2").DESCRIPTOR


def _rpcs() -> list[MethodDescriptor]:
    return [
        method
        for file in _files()
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def _sources() -> Iterator[tuple[Path, str]]:
    for folder in ("client/modelkeep", "server/modelkeep_server"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "v1" not in path.parts:
                yield path, path.read_text()


def _raised() -> Iterator[tuple[str, str]]:
    """Give each reason that code makes an error with, and where."""
    for path, text in _sources():
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            name = node.func.id if isinstance(node.func, ast.Name) else name
            first = node.args[0]
            if name in ERROR_CLASSES and isinstance(first, ast.Constant):
                yield str(first.value), f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_rpc_says_which_permission_it_needs() -> None:
    silent = [m.full_name for m in _rpcs() if not m.GetOptions().Extensions[options_pb2.permission]]

    assert silent == []


def test_no_two_rpcs_match_one_verb_and_path() -> None:
    served: Counter[tuple[str, str]] = Counter()
    for method in _rpcs():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for binding in (rule, *rule.additional_bindings):
            for verb in VERBS:
                if path := getattr(binding, verb):
                    served[verb, re.sub(r"\{[^=}]*=?([^}]*)\}", r"\1", path)] += 1

    assert served
    assert [pair for pair, count in served.items() if count > 1] == []


def test_every_rpc_is_reachable_by_http_unless_it_takes_a_stream() -> None:
    unreachable = [
        method.full_name
        for method in _rpcs()
        if not method.GetOptions().HasExtension(annotations_pb2.http)
        and not method.client_streaming
    ]

    assert unreachable == []


def test_every_service_of_the_contract_is_served(server: RunningServer) -> None:
    series = server.metrics.registry.collect()
    served = {
        sample.labels["method"]
        for family in series
        if family.name == "modelkeep_calls_running"
        for sample in family.samples
    }

    missing = {f"{m.containing_service.full_name}/{m.name}" for m in _rpcs()} - served
    assert missing == set()


def test_every_reason_that_the_server_raises_is_in_the_contract() -> None:
    unknown = [
        f"{reason} at {where}"
        for reason, where in _raised()
        if where.startswith("server/") and reason not in REASONS
    ]

    assert unknown == []


def test_every_reason_that_only_the_sdk_raises_is_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text()
    unknown = [
        f"{reason} at {where}"
        for reason, where in _raised()
        if reason not in REASONS and f"`{reason}`" not in page
    ]

    assert unknown == []


def test_every_reason_of_the_contract_is_raised_somewhere() -> None:
    code = "\n".join(text for _, text in _sources())
    raised = {reason for reason in REASONS if f'"{reason}"' in code}

    assert REASONS - raised == set()


def test_every_reason_names_its_code() -> None:
    proto = (ROOT / "proto/modelkeep/v1/error_reason.proto").read_text()
    codes = "|".join(cls.code for cls in errors.Error.__subclasses__())
    told = re.findall(rf"// `(?:{codes})`:(?:(?!\n\n).)*?ERROR_REASON_(\w+) =", proto, re.DOTALL)

    assert set(told) == REASONS


def test_every_reason_is_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text()

    assert {reason for reason in REASONS if f"`{reason}`" not in page} == set()


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text()
    cells = [name, f"--{name.replace('_', '-')}", f"MODELKEEP_{name.upper()}"]
    row = " | ".join(f"`{cell}`" for cell in [*cells, SETTINGS[name].default])

    assert f"| {row} | " in page


def test_every_setting_is_a_flag_of_serve() -> None:
    serve: Any = importlib.import_module("modelkeep.cli.serve")

    assert set(inspect.signature(serve.serve).parameters) == {*SETTINGS, CONFIG}


def _messages(file: FileDescriptor) -> Iterator[Descriptor]:
    for message in file.message_types_by_name.values():
        yield message
        yield from (inner for inner in message.nested_types if not inner.GetOptions().map_entry)


def test_every_field_of_a_request_or_resource_says_how_it_behaves() -> None:
    """Of a response's fields, and of those of a oneof, there is nothing to say."""
    silent = [
        field.full_name
        for file in _files()
        if not file.name.endswith("/options.proto")
        for message in _messages(file)
        if not message.name.endswith(("Response", "Metadata"))
        for field in message.fields
        if not field.containing_oneof
        and not field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    ]

    assert silent == []


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_applies_and_names_its_tests(mutant: Mutant) -> None:
    assert mutant.what
    assert mutant.caught_by
    assert applies(mutant)
    for test in mutant.caught_by:
        file, name = Path(test.partition("::")[0]), test.partition("[")[0].rpartition("::")[2]
        # Of what every adapter must pass the tests are in the folder's specification.
        places = [place for place in (file, file.with_name("spec.py")) if place.exists()]
        assert any(f"def {name}(" in place.read_text() for place in places)
