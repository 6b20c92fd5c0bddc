"""`modelkeep list`: assets, or the versions of one."""

from collections.abc import Iterable
from typing import Annotated

import typer

from modelkeep import Asset, Version
from modelkeep.cli import output
from modelkeep.cli.arguments import Kind
from modelkeep.cli.people import People
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session, flag


def list_(
    session: Session,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[ASSET | NAMESPACE/]",
            help="An asset, whose versions are listed, or a namespace, with its slash, whose "
            "assets are.",
        ),
    ] = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only assets of this kind.")] = None,
    stage: Annotated[
        str, typer.Option("--stage", metavar="STAGE", help="Only versions in this stage.")
    ] = "",
    deleted: Annotated[
        bool, flag("--deleted", help="Also what is deleted and can be undeleted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the assets of all namespaces or of one, or the versions of an asset, newest first.

    With --json: an array.
    """
    of_versions = what is not None and not what.endswith("/")
    if of_versions and kind is not None:
        raise UsageError("--kind is for listing assets; the versions of one are all of its kind")
    if not of_versions and stage:
        raise UsageError("--stage is for listing versions: name an asset")
    with session.registry() as registry:
        if what is not None and of_versions:
            versions = registry.versions(what, stage=stage, show_deleted=deleted)
            _print_versions(session, versions, People(registry), as_json)
        else:
            kind_word = kind.value if kind else ""
            assets = registry.assets(what or "", kind=kind_word, show_deleted=deleted)
            _print_assets(session, assets, as_json)


def _print_versions(
    session: Session, versions: Iterable[Version], people: People, as_json: bool
) -> None:
    if as_json:
        output.document([version.to_dict() for version in versions])
        return
    rows = [
        (
            version.reference,
            "deleted" if version.delete_time else version.stage,
            " ".join(f"@{name}" for name in version.aliases),
            output.moment(version.create_time),
            people.name(version.author),
            str(version.file_count),
            output.size(version.size),
            output.first_line(version.change_note),
        )
        for version in versions
    ]
    headers = ("VERSION", "STAGE", "ALIASES", "CREATED", "AUTHOR", "FILES", "SIZE", "NOTE")
    session.table(headers, rows, "no versions")


def _print_assets(session: Session, assets: Iterable[Asset], as_json: bool) -> None:
    if as_json:
        output.document([asset.to_dict() for asset in assets])
        return
    rows = [
        (
            asset.reference,
            asset.kind,
            f":{asset.latest_number}" if asset.latest_number else "-",
            str(asset.version_count),
            output.size(asset.size),
            output.moment(asset.update_time),
            "deleted" if asset.delete_time else output.first_line(asset.description),
        )
        for asset in assets
    ]
    headers = ("ASSET", "KIND", "LATEST", "VERSIONS", "SIZE", "CHANGED", "DESCRIPTION")
    session.table(headers, rows, "no assets; `modelkeep push ASSET PATH` makes one")
