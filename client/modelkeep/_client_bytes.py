"""Push and pull."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from modelkeep import _convert, _convert_recipe, _push
from modelkeep import _convert_values as values
from modelkeep._client_base import request_id
from modelkeep._client_versions import VersionMethods
from modelkeep._disk import disk_errors
from modelkeep._handle import Scalar
from modelkeep._listing import list_files, read_manifest
from modelkeep._pull import Pull
from modelkeep._recipe import Recipe
from modelkeep._refs import (
    AssetRef,
    OnProgress,
    PathLike,
    Ref,
    Time,
    asset_name,
    path_of,
    selector,
)
from modelkeep._types import File, Flavor, Input, Signature, Version
from modelkeep.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from modelkeep.names import AssetName, Reference, check_alias
from modelkeep.v1 import version_pb2
from modelkeep.v1 import version_service_pb2 as pb


class ByteMethods(VersionMethods):
    """Push and pull, and what files a version has."""

    def push(
        self,
        asset: AssetRef,
        path: PathLike,
        *,
        kind: str = "",
        params: Mapping[str, Scalar] | None = None,
        metrics: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        inputs: Sequence[Ref | Input] = (),
        note: str = "",
        description: str = "",
        display_name: str = "",
        aliases: Sequence[str] = (),
        if_changed: bool = False,
        recipe: Recipe | Literal["auto"] | None = "auto",
        flavor: Flavor | str | None = None,
        signature: Signature | None = None,
        progress: OnProgress | None = None,
    ) -> Version:
        """Make a file or a folder the asset's next version, and the asset where it is new.

        Only bytes that the registry doesn't have are sent; a push that broke off goes on where
        it was. A folder's links to files and folders are followed; empty folders and modes are
        not kept. All of it becomes visible at once, aliases included, or nothing does.

        `kind` must be the asset's, and is its kind if it's new (by default `model`). `inputs`
        are references, `churn-data:3` or with a role `churn-data:3=evaluated-on`, or `Input`s.
        With `if_changed`, where the highest version has the same content already, that one is
        answered. `recipe` is by default what can be found out about this process and the
        repository of the current folder, with `params` (see `Recipe.capture`).

        Raises `InvalidArgumentError` `PATH_INVALID` for a file that can't be kept,
        `FailedPreconditionError` `FILE_CHANGED` if one changes meanwhile or `KIND_MISMATCH`
        if the asset is of another kind, and what `CreateVersion` says.
        """
        name = asset_name(asset)
        for alias in aliases:
            check_alias(alias, "aliases")
        request = pb.CreateVersionRequest(
            parent=str(name),
            version=version_pb2.Version(
                display_name=values.text(display_name, "display_name"),
                description=values.text(description, "description"),
                labels=values.labels(labels),
                record=version_pb2.VersionRecord(
                    change_note=values.text(note, "note"),
                    parameters=values.parameters(params),
                    metrics=values.metrics(metrics),
                    flavor=_convert.flavor_message(flavor),
                    signature=_convert.signature_message(signature),
                ),
            ),
            create_asset=True,
            kind=values.kind_value(kind),
            aliases=aliases,
            if_changed=if_changed,
        )
        request.version.record.inputs.extend(self._input(item) for item in inputs)
        if recipe == "auto":
            recipe = Recipe.capture(parameters=params)
        if recipe is not None:
            request.recipe.CopyFrom(_convert_recipe.recipe_message(recipe))
        return self._push(name, path, request, progress)

    def pull(
        self,
        ref: Ref,
        dest: PathLike | None = None,
        *,
        at: Time | None = None,
        force: bool = False,
        progress: OnProgress | None = None,
    ) -> Path:
        """Put a version's files into a folder, and give its path.

        Every byte is checked against the version's digest, and nothing is at `dest` before all
        is right. A pull that broke off goes on where it was. `REF/PATH` takes one file, or what
        lies under a folder of the version.

        `dest` is a folder that is made. If it's there it must be empty, or hold the same
        version, which is checked byte for byte; `force` replaces whatever it is. Without `dest`
        the files stay in the cache, read-only, and the answer is their folder there (or for
        `REF/PATH` of one file, that file): don't change them, and copy them to keep them, as
        `cache.prune` takes them away.

        Raises `NotFoundError`, `FailedPreconditionError` `DEST_NOT_EMPTY`, `VERSION_DELETED` or
        `CONTENT_PURGED`, and `DataLossError` where the registry has no right bytes to give.
        """
        with disk_errors():
            pull = Pull(self._wire, self._cache, self.version(ref, at=at), path_of(ref), progress)
            return pull.to_cache() if dest is None else pull.to_folder(Path(dest), force)

    def files(self, ref: Ref) -> Iterator[File]:
        """List a version's files by path; of `REF/PATH` that file, or those under that folder."""
        return list_files(self._wire, str(selector(ref)), path_of(ref))

    def manifest(self, ref: Ref) -> str:
        """Give the version's manifest, which `sha256sum -c` takes; its sha256 is the digest.

        `REF/PATH` isn't taken: a manifest is of the whole version.
        """
        if path_of(ref):
            raise InvalidArgumentError(
                "REFERENCE_INVALID", "a manifest is of a whole version", field="reference"
            )
        with disk_errors():
            return read_manifest(self._wire, self._cache, self.version(ref))[0]

    def _push(
        self,
        name: AssetName,
        path: PathLike,
        request: pb.CreateVersionRequest,
        progress: OnProgress | None,
    ) -> Version:
        request.request_id = request_id()
        content = _push.read(path, progress)
        request.version.record.digest = content.digest
        if request.if_changed and self._is_latest(name, content.digest):
            try:  # nothing to send, most likely
                return self._create(request)
            except FailedPreconditionError as error:
                if error.reason != "MANIFEST_NOT_SEALED":
                    raise
        _push.send(self._wire, str(name.parent), content, progress)
        return self._create(request)

    def _create(self, request: pb.CreateVersionRequest) -> Version:
        return _convert.version(self._wire.call(self._wire.versions.CreateVersion, request))

    def _is_latest(self, asset: AssetName, digest: str) -> bool:
        try:
            return self.version(Reference(asset.namespace, asset.asset)).digest == digest
        except NotFoundError:
            return False
