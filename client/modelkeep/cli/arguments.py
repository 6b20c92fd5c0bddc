"""What people give with options: K=V, inputs, kinds, sizes."""

import json
import math
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from modelkeep import Input
from modelkeep.cli.problems import UsageError
from modelkeep.errors import InvalidArgumentError
from modelkeep.names import Reference, shown

Scalar = str | int | float | bool

REFERENCE = "[NAMESPACE/]ASSET[:NUMBER|@ALIAS]; without a number or an alias, the latest version"


def whole(ref: str | None) -> str | None:
    """Refuse a path in a version where only a version can be meant."""
    try:
        path = Reference.parse(ref).path if ref else ""
    except InvalidArgumentError:
        return ref  # a resource name, which has none; or wrong, and refused as such
    if path:
        raise typer.BadParameter(
            f"{shown(str(ref))} has a path; only `pull` and `files` take one. Name the version"
        )
    return ref


Ref = Annotated[str, typer.Argument(metavar="REF", callback=whole, help=f"A version: {REFERENCE}.")]
RefPath = Annotated[
    str,
    typer.Argument(
        metavar="REF[/PATH]",
        help=f"A version: {REFERENCE}. After a number or an alias a path may follow: a file, or a "
        "folder and what lies under it.",
    ),
]
AssetOption = Annotated[
    str | None, typer.Option("--asset", metavar="ASSET", help="The whole asset: [NAMESPACE/]ASSET.")
]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="K=V", help="A label; may be given often."),
]

ROLES = ("trained-on", "fine-tuned-from", "evaluated-on", "uses")
_INT64 = 2**63
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgtp]?)(i?)b?", re.IGNORECASE)


class Kind(StrEnum):
    """What an asset is."""

    MODEL = "model"
    DATASET = "dataset"
    PROMPT = "prompt"
    AGENT = "agent"
    ADAPTER = "adapter"
    INDEX = "index"


def labels(given: Sequence[str] | None) -> dict[str, str]:
    """Read `--label K=V`."""
    return _pairs("--label", given)


def metrics(given: Sequence[str] | None) -> dict[str, float]:
    """Read `--metric K=V`."""
    return {key: _number(key, text) for key, text in _pairs("--metric", given).items()}


def params(given: Sequence[str] | None) -> dict[str, Scalar]:
    """Read `--param K=V`: JSON scalars, else texts."""
    return {key: _scalar(key, text) for key, text in _pairs("--param", given).items()}


def inputs(given: Sequence[str] | None) -> list[Input]:
    """Read `--input REF[=ROLE]`."""
    return [_input(text) for text in given or ()]


def size(text: str) -> int:
    """Read a number of bytes: `500MB`, `1.5 GiB`, `0`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--max-size {shown(text)} is not a size, such as 500MB, 1.5GiB or 0")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return math.floor(float(number) * float(base) ** " kmgtp".index(unit.lower() or " "))


def one_of(ref: str | None, asset: str | None, form: str) -> None:
    """Refuse a version and an asset at once, and neither."""
    if (ref is None) == (asset is None):
        raise UsageError(f"name one thing: a version ({form}), or --asset ASSET")


def _pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {shown(text)} is not of the form K=V")
        if key in pairs:
            raise UsageError(f"{option} {shown(key)} is given twice")
        pairs[key] = value
    return pairs


def _number(key: str, text: str) -> float:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        raise UsageError(f"--metric {shown(key)} is {shown(text)}, not a number") from None
    if not math.isfinite(number):
        raise UsageError(
            f"--metric {shown(key)} is {shown(text)}; a metric is a finite number: leave it out"
        )
    return number


def _scalar(key: str, text: str) -> Scalar:
    try:
        value = json.loads(text, parse_constant=lambda word: word)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, int | float) and not (-_INT64 <= value < _INT64 or _fits(value)):
        raise UsageError(
            f"--param {shown(key)} is a number out of range; to keep it as a text, quote it "
            f"twice: {shown(key)[1:-1]}='\"{shown(text)[1:-1]}\"'"
        )
    return value if isinstance(value, str | int | float) else text


def _fits(value: int | float) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _input(text: str) -> Input:
    ref, equals, role = text.partition("=")
    if equals and role not in ROLES:
        raise UsageError(f"--input {shown(text)}: the role must be one of {', '.join(ROLES)}")
    if not ref.startswith("namespaces/"):
        Reference.parse(ref, field="inputs")
    return Input(version=ref, role=role)
