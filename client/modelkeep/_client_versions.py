"""Versions: looking them up, comparing them, changing what may change."""

from collections.abc import Iterator, Mapping, Sequence

from modelkeep import _convert, _convert_diff, _convert_recipe
from modelkeep import _convert_values as values
from modelkeep._client_base import Methods, changed, pages, request_id
from modelkeep._recipe import Recipe
from modelkeep._refs import AssetRef, Ref, Time, asset_name, numbered, selector
from modelkeep._types import Diff, Version
from modelkeep.errors import NotFoundError
from modelkeep.v1 import version_pb2
from modelkeep.v1 import version_service_pb2 as pb


class VersionMethods(Methods):
    """Versions: looking them up, comparing them, changing what may change."""

    def version(self, ref: Ref, *, at: Time | None = None) -> Version:
        """Get a version; with `at`, the one that the reference meant then, as it was then.

        By number a deleted one is answered too, with its `delete_time`.
        """
        return _convert.version(self._get_version(ref, at))

    def versions(
        self, asset: AssetRef, *, stage: str = "", show_deleted: bool = False
    ) -> Iterator[Version]:
        """List an asset's versions, the newest first; pages are fetched as you go."""
        request = pb.ListVersionsRequest(
            parent=str(asset_name(asset)),
            stage=values.stage_value(stage),
            show_deleted=show_deleted,
            page_size=100,
        )

        def fetch(token: str) -> tuple[list[Version], str]:
            request.page_token = token
            page = self._wire.call(self._wire.versions.ListVersions, request)
            request.page_size = 1000
            return [_convert.version(item) for item in page.versions], page.next_page_token

        return pages(fetch)

    def recipe(self, ref: Ref) -> Recipe | None:
        """Get what made a version; `None` where nothing was kept."""
        request = pb.GetRecipeRequest(name=str(selector(ref)))
        try:
            return _convert_recipe.recipe(self._wire.call(self._wire.versions.GetRecipe, request))
        except NotFoundError:
            if not self.version(ref).recipe_digest:  # raises where it's the version that is missing
                return None
            raise

    def diff(self, base: Ref, other: Ref) -> Diff:
        """Tell what differs between two versions, of one asset or of two."""
        request = pb.CompareVersionsRequest(
            base=str(selector(base)), other=str(selector(other)), page_size=1000
        )

        def fetch(token: str) -> tuple[list[pb.CompareVersionsResponse], str]:
            request.page_token = token
            page = self._wire.call(self._wire.versions.CompareVersions, request)
            return [page], page.next_page_token

        return _convert_diff.diff(pages(fetch))

    def restore(self, ref: Ref, *, note: str = "") -> Version:
        """Make an older version's content and record the asset's next version."""
        request = pb.RestoreVersionRequest(
            name=str(self._number(ref)),
            change_note=values.text(note, "note"),
            request_id=request_id(),
        )
        return _convert.version(self._wire.call(self._wire.versions.RestoreVersion, request))

    def update(
        self,
        ref: Ref,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        remove_labels: Sequence[str] = (),
    ) -> Version:
        """Change a version's display name, description or labels; `None` leaves one as it is.

        `labels` are added to what is there, or replace what has the same key. What others
        change at the same time is kept.
        """
        name = str(self._number(ref))

        def change() -> Version:
            now = self._get_version(name)
            request = pb.UpdateVersionRequest(
                version=version_pb2.Version(name=name, etag=now.etag), request_id=request_id()
            )
            values.fill(
                request.version,
                request.update_mask,
                values.merged(now.labels, labels, remove_labels),
                display_name=display_name,
                description=description,
            )
            return _convert.version(self._wire.call(self._wire.versions.UpdateVersion, request))

        return changed(change)

    def delete(self, ref: Ref) -> Version:
        """Delete a version, named by its number, until it's undeleted or its time is over.

        Raises `FailedPreconditionError` `VERSION_HELD` where something needs it.
        """
        request = pb.DeleteVersionRequest(
            name=str(numbered(ref, "delete")), request_id=request_id()
        )
        return _convert.version(self._wire.call(self._wire.versions.DeleteVersion, request))

    def undelete(self, ref: Ref) -> Version:
        """Take the deletion of a version, named by its number, back."""
        request = pb.UndeleteVersionRequest(
            name=str(numbered(ref, "undelete")), request_id=request_id()
        )
        return _convert.version(self._wire.call(self._wire.versions.UndeleteVersion, request))

    def purge(self, ref: Ref, *, reason: str) -> Version:
        """Release a deleted version's bytes for good; its record and history stay."""
        request = pb.PurgeVersionRequest(
            name=str(numbered(ref, "purge")),
            reason=values.text(reason, "reason"),
            request_id=request_id(),
        )
        return _convert.version(self._wire.call(self._wire.versions.PurgeVersion, request))

    def _get_version(self, ref: Ref, at: Time | None = None) -> version_pb2.Version:
        request = pb.GetVersionRequest(name=str(selector(ref)))
        if at is not None:
            request.as_of_time.CopyFrom(values.timestamp(at, "at"))
        return self._wire.call(self._wire.versions.GetVersion, request)
