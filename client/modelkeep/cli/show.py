"""`modelkeep show`: a version's record."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from modelkeep import Recipe, Version
from modelkeep.cli import output
from modelkeep.cli.arguments import Ref
from modelkeep.cli.people import People, short
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session, flag
from modelkeep.cli.times import At, read_time

if TYPE_CHECKING:
    from modelkeep import Client


def show(
    session: Session,
    ref: Ref,
    at: At = None,
    manifest: Annotated[
        bool,
        flag(
            "--manifest",
            help="Print the version's manifest exactly, which `sha256sum -c` takes in a pulled "
            "folder.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print a version's record.

    With --json: the version, and `recipe`, what made it.
    """
    if manifest and as_json:
        raise UsageError("--manifest and --json don't go together: a manifest has one form")
    with session.registry() as registry:
        version = registry.version(ref, at=read_time(at))
        if manifest:
            output.exact(registry.manifest(version.reference))
            return
        recipe = registry.recipe(version.name) if version.recipe_digest else None
        if as_json:
            kept = recipe.to_dict() if recipe else None
            output.document(version.to_dict() | {"recipe": kept})
            return
        _print_record(version, recipe, registry)


def _print_record(version: Version, recipe: Recipe | None, registry: "Client") -> None:
    aliases = "".join(f"  @{name}" for name in version.aliases)
    state = "deleted" if version.delete_time else version.stage
    output.line(f"{version.reference}  {state}{aliases}")
    output.facts(_facts(version, People(registry)))
    for title, values in (
        ("params", version.params),
        ("metrics", version.metrics),
        ("labels", version.labels),
    ):
        _print_values(title, values)
    if version.inputs:
        output.line("inputs")
        output.facts(
            (item.role, short(item.version) if item.version else f"{item.uri} {item.digest}")
            for item in version.inputs
        )
    if recipe:
        output.line("recipe")
        output.facts(_made_by(recipe))


def _facts(version: Version, people: People) -> Iterator[tuple[str, str]]:
    yield "name", version.display_name
    yield "description", version.description
    yield "note", version.change_note
    yield "files", f"{version.file_count:,}, {output.size(version.size)}"
    yield "digest", version.digest
    yield "author", people.name(version.author)
    yield "created", output.moment(version.create_time)
    if version.update_time != version.create_time:
        yield "changed", output.moment(version.update_time)
    if version.delete_time:
        yield "deleted", output.moment(version.delete_time)
        yield "purged" if version.purged else "kept until", output.moment(version.purge_time)
    yield "restores", short(version.restored_from)
    if version.flavor:
        yield "flavor", f"{version.flavor.name} {version.flavor.version}".strip()
    if version.signature:
        for way, fields in (
            ("takes", version.signature.inputs),
            ("gives", version.signature.outputs),
        ):
            yield way, ", ".join(f"{one.name or '-'}: {one.dtype}" for one in fields)


def _made_by(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.code:
        dirty = ", with changes that it doesn't have" if recipe.code.dirty else ""
        yield "code", f"{recipe.code.remote or 'here'} {recipe.code.revision}{dirty}"
    yield "command", " ".join(recipe.command)
    if recipe.environment:
        packages = output.counted(len(recipe.environment.packages), "package")
        yield "software", f"{recipe.environment.runtime}, {packages}"
        yield "platform", recipe.environment.platform
    if recipe.hardware:
        yield "hardware", ", ".join(_machine(recipe))
    if recipe.seed is not None:
        yield "seed", str(recipe.seed)


def _machine(recipe: Recipe) -> Iterator[str]:
    assert recipe.hardware is not None
    if recipe.hardware.architecture:
        yield recipe.hardware.architecture
    if recipe.hardware.cpu_count:
        yield output.counted(recipe.hardware.cpu_count, "core")
    if recipe.hardware.memory:
        yield output.size(recipe.hardware.memory)
    yield from recipe.hardware.accelerators


def _print_values(title: str, values: Mapping[str, Any]) -> None:
    if values:
        output.line(title)
        output.facts((key, output.value(value)) for key, value in values.items())
