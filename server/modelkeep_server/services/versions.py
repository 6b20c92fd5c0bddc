"""VersionService."""

from modelkeep.errors import NotFoundError
from modelkeep.names import AliasName, AssetName, VersionName, VersionSelector
from modelkeep.v1 import version_pb2
from modelkeep.v1 import version_service_pb2 as pb
from modelkeep_server.domain import aliases, assets, comparison, resolve, versions
from modelkeep_server.records import aliases as alias_rows
from modelkeep_server.records import manifests
from modelkeep_server.records import versions as rows
from modelkeep_server.records.encode import microseconds
from modelkeep_server.records.records import Records
from modelkeep_server.records.versions import StoredVersion
from modelkeep_server.services.paging import Paging
from modelkeep_server.values.call import Answer, Call
from modelkeep_server.values.hints import short_read

_FILES_DEFAULT = 1_000
_FILES_MOST = 10_000


class VersionService:
    """Versions of an asset, and the aliases that point to them."""

    def __init__(self, records: Records) -> None:
        """Serve these records."""
        self._records = records

    def CreateVersion(self, request: pb.CreateVersionRequest, call: Call) -> Answer:
        return versions.create(self._records, call, request)

    @short_read(lambda request: not request.HasField("as_of_time"))
    def GetVersion(self, request: pb.GetVersionRequest, _call: Call) -> bytes | version_pb2.Version:
        selector = VersionSelector.parse(request.name)
        if request.HasField("as_of_time"):
            time_us = microseconds(request.as_of_time)
            return resolve.version_as_of(self._records, selector, time_us)
        return resolve.version(self._records.read(), selector).answer()

    def GetRecipe(self, request: pb.GetRecipeRequest, _call: Call) -> bytes:
        session = self._records.read()
        stored = resolve.version(session, VersionSelector.parse(request.name))
        body = rows.recipe(session, stored.id)
        if body is None:
            resource = f"{stored.parsed().name}/recipe"
            raise NotFoundError(
                "RESOURCE_NOT_FOUND", f"{resource} does not exist", resource=resource
            )
        return body

    def ListVersions(self, request: pb.ListVersionsRequest, call: Call) -> bytes:
        session = self._records.read()
        asset = assets.live(session, AssetName.parse(request.parent, "parent"))
        paging = Paging(self._records.pages, call, request)
        below = int(paging.after[0]) if paging.after else None
        found = rows.page(
            session, asset.id, below, request.stage, request.show_deleted, paging.limit
        )
        return paging.answer(([number], version) for number, version in found)

    def ListFiles(self, request: pb.ListFilesRequest, call: Call) -> bytes:
        session = self._records.read()
        paging = Paging(
            self._records.pages, call, request, default=_FILES_DEFAULT, most=_FILES_MOST
        )
        # The token says which version it is, since an alias may move between two pages.
        after = str(paging.after[1]) if paging.after else ""
        version = rows.by_id(session, int(paging.after[0])) if paging.after else None
        if version is None:
            selector = VersionSelector.parse(request.parent, "parent")
            version = resolve.version(session, selector)
        found = manifests.files(
            session, version.manifest_id, after, paging.limit, request.path_prefix
        )
        versions.check_kept(session, version.id)
        return paging.answer(
            ([version.id, file.path], comparison.file_message(file).SerializeToString())
            for file in found
        )

    def CompareVersions(
        self, request: pb.CompareVersionsRequest, call: Call
    ) -> pb.CompareVersionsResponse:
        session = self._records.read()
        paging = Paging(self._records.pages, call, request)
        base = self._compared(paging, 0, request.base, "base")
        other = self._compared(paging, 1, request.other, "other")
        before, after = base.parsed(), other.parsed()
        answer = pb.CompareVersionsResponse(base=before.name, other=after.name)
        if paging.after is None:
            answer.parameters.extend(
                comparison.values(
                    comparison.parameters(before.record), comparison.parameters(after.record)
                )
            )
            answer.metrics.extend(comparison.values(before.record.metrics, after.record.metrics))
            answer.labels.extend(comparison.values(before.labels, after.labels))
            changes, answer.recipe_cut = comparison.within_room(
                comparison.values(
                    comparison.recipe(rows.recipe(session, base.id)),
                    comparison.recipe(rows.recipe(session, other.id)),
                )
            )
            answer.recipe.extend(changes)
        path = str(paging.after[2]) if paging.after else ""
        files = comparison.files(session, base.manifest_id, other.manifest_id, path, paging.limit)
        versions.check_kept(session, base.id, other.id)
        kept, token = paging.cut(
            ([base.id, other.id, file.path], file.SerializeToString()) for file in files
        )
        answer.files.extend(files[: len(kept)])
        answer.next_page_token = token
        return answer

    def _compared(self, paging: Paging, place: int, name: str, field: str) -> StoredVersion:
        """Find a version to compare: on a later page the one of the first, wherever aliases are."""
        session = self._records.read()
        if paging.after:
            stored = rows.by_id(session, int(paging.after[place]))
            if stored is not None:
                return stored
        return resolve.version(session, VersionSelector.parse(name, field))

    def RestoreVersion(self, request: pb.RestoreVersionRequest, call: Call) -> Answer:
        name = VersionName.parse(request.name)
        return versions.restore(self._records, call, name, request.change_note)

    def UpdateVersion(self, request: pb.UpdateVersionRequest, call: Call) -> Answer:
        return versions.update(self._records, call, request.version, request.update_mask)

    def DeleteVersion(self, request: pb.DeleteVersionRequest, call: Call) -> Answer:
        return versions.delete(self._records, call, VersionName.parse(request.name), request.etag)

    def UndeleteVersion(self, request: pb.UndeleteVersionRequest, call: Call) -> Answer:
        return versions.undelete(self._records, call, VersionName.parse(request.name))

    def PurgeVersion(self, request: pb.PurgeVersionRequest, call: Call) -> Answer:
        name = VersionName.parse(request.name)
        return versions.purge(self._records, call, name, request.reason, request.etag)

    def SetAlias(self, request: pb.SetAliasRequest, call: Call) -> Answer:
        name = AliasName.parse(request.name)
        version = VersionName.parse(request.version, "version")
        return aliases.set_alias(self._records, call, name, version, request.etag)

    def GetAlias(self, request: pb.GetAliasRequest, _call: Call) -> bytes:
        return aliases.existing(self._records, AliasName.parse(request.name)).message

    def ListAliases(self, request: pb.ListAliasesRequest, call: Call) -> bytes:
        session = self._records.read()
        asset = assets.live(session, AssetName.parse(request.parent, "parent"))
        paging = Paging(self._records.pages, call, request)
        after = str(paging.after[0]) if paging.after else ""
        found = alias_rows.page(session, asset, after, paging.limit)
        return paging.answer(([name], message) for name, message in found)

    def RemoveAlias(self, request: pb.RemoveAliasRequest, call: Call) -> Answer:
        return aliases.remove(self._records, call, AliasName.parse(request.name), request.etag)

    def ListAliasChanges(self, request: pb.ListAliasChangesRequest, call: Call) -> bytes:
        session = self._records.read()
        asset = assets.get(session, AssetName.parse(request.parent, "parent"))
        paging = Paging(self._records.pages, call, request)
        below = (int(paging.after[0]), str(paging.after[1])) if paging.after else None
        found = alias_rows.moves(session, asset, request.alias, below, paging.limit)
        return paging.answer(
            ([position, alias], change.SerializeToString()) for position, alias, change in found
        )
