"""A version is what its row, its manifest and its digests say.

* Its message agrees with the columns beside it, and with its manifest: digest, files and bytes.
* Its manifest is sealed, in its asset or its namespace.
* Its record's and its recipe's digests are theirs.
* Its inputs are the edges that are kept of them; those of a live version are live.
* Its aliases are those that point to it; it is in production if `production` does.
* Its last move in the history is where it is now.
"""

from collections.abc import Iterator

from modelkeep.digests import recipe_digest, record_digest
from modelkeep.errors import DataLossError
from modelkeep.v1 import recipe_pb2, version_pb2
from modelkeep_server.domain.aliases import PRODUCTION
from modelkeep_server.records import aliases
from modelkeep_server.records import survey_versions as survey
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import deletion, read_stored
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey_versions import VersionRow
from modelkeep_server.records.transaction import etag
from modelkeep_server.values.findings import Damage


def check(session: Session, asset: StoredAsset, row: VersionRow) -> Iterator[Damage]:
    """Check one version of an asset."""
    for text in _faults(session, asset, row):
        yield Damage("version", asset.version_name(row.version.number), text)


def _faults(session: Session, asset: StoredAsset, row: VersionRow) -> Iterator[str]:
    try:
        version = row.version.parsed()
        recipe = read_stored(recipe_pb2.Recipe, row.recipe or b"")
    except DataLossError:
        yield "its message or its recipe can't be read"
        return
    yield from _columns(asset, row, version)
    yield from _content(asset, row, version.record)
    yield from _digests(row, version, recipe)
    yield from _inputs(session, asset, row, version.record)
    yield from _pointers(session, row, version)
    yield from _history(session, row)


def _columns(asset: StoredAsset, row: VersionRow, version: version_pb2.Version) -> Iterator[str]:
    stored = row.version
    name = asset.version_name(stored.number)
    if (version.name, version.number, version.etag) != (name, stored.number, etag(stored.revision)):
        yield "its message has another name, number or etag than its row"
    if version.stage != row.stage:
        yield "its message has another stage than its row"
    if deletion(version) != (stored.deleted_us, stored.purge_us):
        yield "its message was deleted at another time than its row"
    if version.purged != stored.purged or (version.purged and stored.deleted_us is None):
        yield "its message and its row do not agree whether its bytes were released"


def _content(
    asset: StoredAsset, row: VersionRow, record: version_pb2.VersionRecord
) -> Iterator[str]:
    if record.digest != row.digest:
        yield "its message has another digest than its row"
    if row.content is None:
        if not row.version.purged:
            yield "its manifest is not there, or not sealed"
        return
    if row.content[0] != row.digest:
        yield f"its manifest is {row.content[0]}, not {row.digest}"
    if row.content[1:] != (record.file_count, record.size):
        yield "its files and bytes are not as many as its manifest's"
    if row.scope not in (asset.resource, str(asset.name.parent)):
        yield f"its manifest was sealed under {row.scope}"


def _digests(
    row: VersionRow, version: version_pb2.Version, recipe: recipe_pb2.Recipe
) -> Iterator[str]:
    if record_digest(version.record) != version.record_digest:
        yield "its record does not have the digest that it says"
    wanted = recipe_digest(recipe) if row.recipe is not None else ""
    if version.record.recipe_digest != wanted:
        yield "its recipe does not have the digest that it says"


def _inputs(
    session: Session, asset: StoredAsset, row: VersionRow, record: version_pb2.VersionRecord
) -> Iterator[str]:
    edges = survey.inputs(session, row.version.id)
    kept = [(edge.ordinal, edge.source, edge.role, edge.digest) for edge in edges]
    told = [
        (ordinal, one.version, one.role, one.digest)
        for ordinal, one in enumerate(record.inputs)
        if one.WhichOneof("source") == "version"
    ]
    if kept != told:
        yield "its inputs are not the edges that are kept of them"
    if row.version.deleted_us is None and asset.deleted_us is None:
        for edge in edges:
            if not edge.live:
                yield f"its input {edge.source} is deleted"


def _pointers(session: Session, row: VersionRow, version: version_pb2.Version) -> Iterator[str]:
    names = sorted(aliases.of_version(session, row.version.id), key=str.encode)
    if names != list(version.aliases):
        yield f"says that its aliases are {list(version.aliases)}, and they are {names}"
    if (PRODUCTION in names) != (row.stage == version_pb2.STAGE_PRODUCTION):
        state = "not" if PRODUCTION in names else "in production and not"
        yield f"is {state} what the alias {PRODUCTION} says"


def _history(session: Session, row: VersionRow) -> Iterator[str]:
    stored = row.version
    stage = 0 if stored.deleted_us is not None else row.stage
    last = survey.last_stage_move(session, stored.asset_id, stored.number)
    if last != (stored.id, stage):
        yield "its history does not end where it is now"
