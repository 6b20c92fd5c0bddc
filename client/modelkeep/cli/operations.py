"""`modelkeep admin gc`, `operations` and `cancel`: long work of a running server."""

from typing import Annotated

import typer

from modelkeep import Operation
from modelkeep.cli import output
from modelkeep.cli.problems import FAILED
from modelkeep.cli.session import Json, Session, flag


def gc(
    session: Session,
    dry_run: Annotated[
        bool, flag("--dry-run", help="Change nothing, and tell what would be deleted now.")
    ] = False,
    no_wait: Annotated[
        bool, flag("--no-wait", help="Don't wait for the end; the server goes on all the same.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete the bytes that nothing refers to any more: of purged versions and broken uploads.

    Safe at any time, beside any traffic, and again after it was cut off. What was sent or asked
    for within the last day stays. Versions that can't be undeleted any more are purged.
    """
    with session.registry() as registry:
        operation = registry.collect_garbage(dry_run=dry_run)
        if not no_wait:
            operation = registry.wait(operation)
    if not operation.done:
        words = f"{operation.name} goes on; `modelkeep admin operations` tells how far it is"
    elif operation.error:
        words = f"{operation.name} ended before its time: {operation.error}"
    else:
        words = _collected(operation)
    session.answer(operation, as_json, words)
    if operation.error:
        raise typer.Exit(FAILED)


def operations(session: Session, as_json: Json = False) -> None:
    """List the long work of the server, the latest first."""
    with session.registry() as registry:
        found = list(registry.operations())
    if as_json:
        output.document([one.to_dict() for one in found])
        return
    rows = [
        (
            one.name.removeprefix("operations/"),
            f"{one.kind} (dry run)" if one.dry_run else one.kind,
            _state(one),
            ", ".join(f"{key} {count:,}" for key, count in one.progress.items() if count),
        )
        for one in found
    ]
    session.table(("OPERATION", "KIND", "STATE", "PROGRESS"), rows, "no operations")


def cancel(
    session: Session,
    name: Annotated[
        str,
        typer.Argument(metavar="OPERATION", help="As `modelkeep admin operations` lists it."),
    ],
    as_json: Json = False,
) -> None:
    """Ask an operation to end; what it has done stays done."""
    with session.registry() as registry:
        operation = registry.cancel_operation(name)
    words = "has ended" if operation.done else "ends after the step it is at"
    session.answer(operation, as_json, f"{operation.name} {words}")


def _collected(operation: Operation) -> str:
    counts = operation.progress
    kind = "condemned" if operation.dry_run else "deleted"
    would = "would be " if operation.dry_run else ""
    blobs = output.counted(counts[f"{kind}_blobs"], "blob")
    purged = output.counted(counts["purged_versions"], "version")
    return (
        f"{blobs} ({output.size(counts[f'{kind}_bytes'])}) {would}deleted; {purged} {would}purged "
        "that could not be undeleted any more"
    )


def _state(operation: Operation) -> str:
    if operation.error:
        return operation.error
    return "done" if operation.done else "under way"
