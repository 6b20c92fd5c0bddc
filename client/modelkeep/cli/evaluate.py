"""`modelkeep evaluate` and `evaluations`: what was measured of versions since they were made."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer

from modelkeep import Evaluation, Input
from modelkeep.cli import arguments, output
from modelkeep.cli.arguments import Ref
from modelkeep.cli.people import People, short
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session
from modelkeep.cli.times import read_time
from modelkeep.names import shown


def evaluate(
    session: Session,
    ref: Ref,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="K=V", help="What was measured over all data; may be given often."
        ),
    ] = None,
    slice_: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="NAME:K=V",
            help="What was measured over a part of the data, such as country=FR:auc=0.9; may be "
            "given often.",
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="REF",
            help="The data set that it was measured on: a version; or with --digest any URI.",
        ),
    ] = None,
    digest: Annotated[
        str,
        typer.Option(
            "--digest", metavar="SHA256", help="The digest, sha256:…, of a data set outside."
        ),
    ] = "",
    measured: Annotated[
        str | None,
        typer.Option(
            "--measured", metavar="TIME", help="When it was measured, as for --at; by default now."
        ),
    ] = None,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="How, and what to know about it.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Keep what was measured of a version. It is kept for good; measured again, it is another."""
    if digest and on is None:
        raise UsageError("--digest is of a data set outside; name that with --on URI")
    metrics, slices = arguments.metrics(metric), _slices(slice_)
    if not metrics and not slices:
        raise UsageError("nothing was measured; say what with --metric K=V or --slice NAME:K=V")
    data_set = Input(uri=on or "", digest=digest) if digest else on
    with session.registry() as registry:
        found = registry.evaluate(
            ref, metrics, slices=slices, on=data_set, measured=read_time(measured), note=note
        )
    told = f"evaluation {found.number} of {short(found.version)} is kept"
    session.answer(found, as_json, f"{told}: {_values(found.metrics)}".rstrip(": "))


def evaluations(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ASSET | REF",
            help="An asset, for all of its versions, or a version, such as churn:7.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="K", help="Show these metrics only; may be given often."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what was measured of an asset's versions as a table, the newest version first.

    Slices stand below what was measured over all data. With --json: an array.
    """
    with session.registry() as registry:
        found = list(registry.evaluations(what))
        if as_json:
            output.document([one.to_dict() for one in found])
            return
        columns = metric or sorted({key for one in found for key in _keys(one)})
        people = People(registry)
        headers = ("VERSION", "MEASURED", "WHO", "ON", *columns)
        rows = [row for one in found for row in _rows(one, columns, people)]
    session.table(headers, rows, "no evaluations")


def _rows(one: Evaluation, columns: Sequence[str], people: People) -> Iterator[list[str]]:
    data_set = one.data_set
    on = (short(data_set.version) if data_set.version else data_set.uri) if data_set else "-"
    head = [short(one.version), output.moment(one.measure_time), people.name(one.evaluator), on]
    yield [*head, *_cells(one.metrics, columns)]
    for name, metrics in one.slices.items():
        yield ["", "", "", f"  {name}", *_cells(metrics, columns)]


def _cells(metrics: Mapping[str, float], columns: Sequence[str]) -> list[str]:
    return [output.value(metrics[key]) if key in metrics else "-" for key in columns]


def _keys(one: Evaluation) -> Iterator[str]:
    yield from one.metrics
    for metrics in one.slices.values():
        yield from metrics


def _slices(given: Sequence[str] | None) -> dict[str, dict[str, float]]:
    """Read `--slice NAME:K=V`; what stands behind the last colon is the metric."""
    found: dict[str, dict[str, float]] = {}
    for text in given or ():
        name, colon, pair = text.rpartition(":")
        if not name or not colon:
            raise UsageError(f"--slice {shown(text)} is not of the form NAME:K=V")
        read = arguments.metrics([pair])
        if found.setdefault(name, {}).keys() & read.keys():
            raise UsageError(f"--slice {shown(text)}: this metric is given twice")
        found[name] |= read
    return found


def _values(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {output.value(value)}" for key, value in metrics.items())
