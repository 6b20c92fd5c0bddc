"""What a namespace holds, in plain dicts: the contract's rules, written without the server's code.

* Times are counted in events: what the n-th event did has the time n. So are etags, in revisions.
* A call is a method's name with its arguments; it answers a `Seen…` or is `Refused`.
* The contract doesn't rank refusals, so one names every reason that holds: any of them will do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.truth.things import (
    ANY,
    ARCHIVED,
    NONE_YET,
    NOT_TOLD,
    PRODUCTION,
    STAGES,
    Asset,
    Entry,
    Input,
    Pointer,
    Refused,
    Seen,
    SeenAlias,
    Version,
    refuse,
)

_CHANGEABLE = {"description", "display_name", "labels"}


@dataclass
class Model:
    """A namespace: what is in it, what was, and who did what."""

    assets: dict[str, Asset] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    log: list[Entry] = field(default_factory=list)
    past: list[dict[str, Asset]] = field(default_factory=lambda: [{}])
    moves: list[tuple[int, str, str, int | None, str]] = field(default_factory=list)
    _kept: dict[tuple[str, str, str], tuple[dict[str, Any], Any, int]] = field(default_factory=dict)
    _user: str = ""
    _act: str = ""
    _touched: set[str] = field(default_factory=set)

    def write(self, user: str, method: str, request_id: str, args: dict[str, Any]) -> Any:
        """Make a write, once a `request_id`: its answer, and the event it made (0: none)."""
        first = self._kept.get((user, method, request_id)) if request_id else None
        if first is not None:
            refuse(REQUEST_ID_REUSED=first[0] != args)
            return first[1:]
        self._user, self._touched, known = user, set(), self.assets
        self.assets = {name: asset.copy() for name, asset in known.items()}
        try:
            answer = _WRITES[method](self, **args)
        except Refused:
            self.assets = known
            raise
        event = self._note(request_id) if self._touched else 0
        if request_id:
            self._kept[user, method, request_id] = args, answer, event
        return answer, event

    # What can be read

    def get(self, asset: str, selector: str | int, at: int | None = None) -> Seen:
        """Find the version that a selector means, or meant at a time."""
        refuse(RESOURCE_NOT_FOUND=asset not in self.assets)
        now = self.assets[asset]
        then = now if at is None else self.past[at].get(asset) or Asset(asset)
        refuse(ASSET_DELETED=then.deleted is not None)
        found = then.find(selector)
        if found is None:
            raise Refused("RESOURCE_NOT_FOUND")
        if at is None:
            return then.seen(found.number)
        rest = now.versions[found.number]
        changed = replace(rest, stage=found.stage, deleted=found.deleted, revision=None)
        purge = rest.purged if found.deleted == rest.deleted else NOT_TOLD
        return replace(then.seen(found.number), version=changed, released=purge)

    def get_alias(self, asset: str, alias: str) -> SeenAlias:
        """Find an alias."""
        pointer = self._live(asset).aliases.get(alias)
        if pointer is None or pointer.number is None:
            raise Refused("RESOURCE_NOT_FOUND")
        return SeenAlias(asset, alias, pointer)

    def get_asset(self, asset: str) -> Asset:
        """Find an asset, also a deleted one."""
        refuse(RESOURCE_NOT_FOUND=asset not in self.assets)
        return self.assets[asset]

    def list_assets(self, show_deleted: bool) -> list[Asset]:
        """List the assets by name."""
        return [a for _, a in sorted(self.assets.items()) if show_deleted or a.deleted is None]

    def list_versions(self, asset: str, show_deleted: bool, stage: str) -> list[Seen]:
        """List an asset's versions, the newest first."""
        found = self._live(asset)
        wanted = [v for v in found.versions.values() if show_deleted or v.deleted is None]
        return [found.seen(v.number) for v in reversed(wanted) if stage in ("", v.stage)]

    def list_aliases(self, asset: str) -> list[SeenAlias]:
        """List an asset's aliases by name."""
        pointers = sorted(self._live(asset).aliases.items())
        return [SeenAlias(asset, name, to) for name, to in pointers if to.number is not None]

    def list_moves(self, asset: str, alias: str) -> list[tuple[int, str, str, int | None, str]]:
        """List the moves of an asset's aliases, also of a deleted one, the latest first."""
        self.get_asset(asset)
        found = [move for move in self.moves if move[1] == asset and alias in ("", move[2])]
        return sorted(found, key=lambda move: (move[0], move[2]), reverse=True)

    # What can be written

    def create_asset(self, asset: str, kind: str) -> Asset:
        """There is, or was, none of this name, nor of one that differs only in case."""
        refuse(NAME_TAKEN=asset.lower() in map(str.lower, self.assets))
        self.assets[asset] = Asset(asset, kind or "MODEL", self._user, self._now, self._now)
        self._did("asset.created", asset)
        return self.assets[asset].copy()

    def update_asset(self, asset: str, etag: int, changes: dict[str, Any]) -> Asset:
        """Its own fields change, and its etag with them."""
        found = self._live(asset)
        refuse(ETAG_MISMATCH=etag not in (ANY, found.revision), **_mask(changes))
        return self._put_asset("asset.updated", found, changes)

    def delete_asset(self, asset: str, etag: int) -> Asset:
        """Refused while a version is under an alias or an input of a live one elsewhere."""
        found = self.get_asset(asset)
        gone = found.deleted is not None
        held = any(p.number for p in found.aliases.values()) or self._users(asset, None)
        refuse(ETAG_MISMATCH=etag not in (ANY, found.revision), VERSION_HELD=held and not gone)
        return found if gone else self._put_asset("asset.deleted", found, {"deleted": self._now})

    def undelete_asset(self, asset: str) -> Asset:
        """Refused while an input of one of its live versions is deleted."""
        found = self.get_asset(asset)
        inputs = [i for v in found.versions.values() if v.deleted is None for i in v.inputs]
        outside = [i for i in inputs if i.asset != asset]
        is_gone = found.deleted is not None
        refuse(VERSION_DELETED=is_gone and not all(self._is_live(*i[:2]) for i in outside))
        return self._put_asset("asset.undeleted", found, {"deleted": None})

    def create(
        self,
        asset: str,
        kind: str,
        digest: str,
        inputs: tuple[tuple[str, int], ...],
        aliases: tuple[str, ...],
        *,
        create_asset: bool,
        if_changed: bool,
        **record: Any,
    ) -> Seen:
        """The next number, with its aliases, or nothing at all; none where nothing changed."""
        if create_asset and asset not in self.assets:
            self.create_asset(asset, kind)
        found = self._live(asset)
        latest = found.find("latest")
        is_known = if_changed and latest is not None and latest.digest == digest
        refuse(
            KIND_MISMATCH=kind not in ("", found.kind),
            MANIFEST_NOT_SEALED=digest not in self.sealed,
            NAME_TAKEN=any(found.is_taken(a, *aliases[:n]) for n, a in enumerate(aliases)),
            **({} if is_known else self._input_problems(inputs)),
        )
        sources = () if is_known else tuple(self._input(*source) for source in inputs)
        version = latest if latest and is_known else self._add(found, digest, sources, **record)
        for alias in aliases:
            self._point(found, alias, version.number)
        return found.seen(version.number)

    def restore(self, asset: str, number: int, note: str) -> Seen:
        """The old content and record as the next number, in development, without aliases."""
        found, old = self._numbered(asset, number)
        refuse(VERSION_DELETED=old.deleted is not None, CONTENT_PURGED=old.purged is not None)
        kept = {name: getattr(old, name) for name in (*_CHANGEABLE, "recipe")}
        note = note or f"Restores version {number}"
        new = self._add(found, old.digest, old.inputs, note, restored_from=number, **kept)
        self._did("version.restored")
        return found.seen(new.number)

    def update(self, asset: str, number: int, etag: int, changes: dict[str, Any]) -> Seen:
        """Its own fields change, and its etag with them; nothing where they are so already."""
        found, version = self._numbered(asset, number)
        gone, stale = version.deleted is not None, etag not in (ANY, version.revision)
        refuse(VERSION_DELETED=gone, ETAG_MISMATCH=stale, **_mask(changes))
        if replace(version, **changes) != version:
            self._put(found, number, updated=self._now, **changes)
            self._did("version.updated")
        return found.seen(number)

    def delete(self, asset: str, number: int, etag: int) -> Seen:
        """Refused while an alias, production or a live version holds it."""
        found, version = self._numbered(asset, number)
        gone = version.deleted is not None
        held = bool(found.pointing(number)) or self._users(asset, number)
        refuse(ETAG_MISMATCH=etag not in (ANY, version.revision), VERSION_HELD=held and not gone)
        if not gone:
            self._put(found, number, deleted=self._now)
            self._did("version.deleted")
        return found.seen(number)

    def undelete(self, asset: str, number: int) -> Seen:
        """Refused once its bytes are released, and while an input of it is deleted."""
        found, version = self._numbered(asset, number)
        if version.deleted is not None:
            lost = not all(self._is_live(*source[:2]) for source in version.inputs)
            refuse(UNDELETE_EXPIRED=version.purged is not None, VERSION_DELETED=lost)
            self._put(found, number, deleted=None)
            self._did("version.undeleted")
        return found.seen(number)

    def purge(self, asset: str, number: int, etag: int) -> Seen:
        """Only of what is deleted; number, record and history stay."""
        found, version = self._numbered(asset, number)
        stale = etag not in (ANY, version.revision)
        refuse(ETAG_MISMATCH=stale, VERSION_NOT_DELETED=version.deleted is None)
        if version.purged is None:
            self._put(found, number, purged=self._now)
            self._did("version.purged")
        return found.seen(number)

    def set_alias(self, asset: str, alias: str, number: int, etag: int) -> SeenAlias:
        """By compare-and-set where an etag is given; `NONE_YET`: only where there is none."""
        found, version = self._numbered(asset, number)
        refuse(
            NAME_TAKEN=found.is_taken(alias),
            ETAG_MISMATCH=etag not in (ANY, found.alias_etag(alias)),
            VERSION_DELETED=version.deleted is not None,
        )
        self._point(found, alias, number)
        return SeenAlias(asset, alias, found.aliases[alias])

    def remove_alias(self, asset: str, alias: str, etag: int) -> SeenAlias:
        """Removing `production` archives its version."""
        found = self._live(asset)
        refuse(RESOURCE_NOT_FOUND=found.alias_etag(alias) == NONE_YET)
        refuse(ETAG_MISMATCH=etag not in (ANY, found.alias_etag(alias)))
        self._point(found, alias, None)
        self._did("alias.removed")
        return SeenAlias(asset, alias, found.aliases[alias])

    # How

    @property
    def _now(self) -> int:
        return len(self.log) + 1

    def _note(self, request_id: str) -> int:
        self.log.append(Entry(self._act, self._user, request_id, frozenset(self._touched)))
        self.past.append(self.assets)
        return len(self.log)

    def _did(self, act: str, *touched: str) -> None:
        self._act = act
        self._touched.update(touched)

    def _live(self, asset: str) -> Asset:
        found = self.get_asset(asset)
        refuse(ASSET_DELETED=found.deleted is not None)
        return found

    def _numbered(self, asset: str, number: int) -> tuple[Asset, Version]:
        found = self._live(asset)
        refuse(RESOURCE_NOT_FOUND=number not in found.versions)
        return found, found.versions[number]

    def _is_live(self, asset: str, number: int) -> bool:
        found = self.assets[asset]
        return found.deleted is None and found.versions[number].deleted is None

    def _users(self, asset: str, number: int | None) -> bool:
        """Whether a live version has this one as its input; of an asset, one of another asset."""
        return any(
            source.asset == asset and (asset != name if number is None else number == source.number)
            for name, other in self.assets.items()
            for version in other.versions.values()
            if self._is_live(name, version.number)
            for source in version.inputs
        )

    def _input_problems(self, inputs: tuple[tuple[str, int], ...]) -> dict[str, bool]:
        problems = {"FIELD_INVALID": len(set(inputs)) < len(inputs)}
        for asset, number in inputs:
            try:
                _, version = self._numbered(asset, number)
                refuse(VERSION_DELETED=version.deleted is not None)
            except Refused as refused:
                problems |= dict.fromkeys(refused.reasons, True)
        return problems

    def _input(self, asset: str, number: int) -> Input:
        source = self.assets[asset]
        role = "TRAINED_ON" if source.kind == "DATASET" else "USES"
        return Input(asset, number, source.versions[number].digest, role)

    def _add(
        self, asset: Asset, digest: str, inputs: tuple[Input, ...], note: str, **more: Any
    ) -> Version:
        number = len(asset.versions) + 1
        made = Version(number, digest, self._user, self._now, note, inputs, self._now, **more)
        asset.versions[number] = made
        self._did("version.created", f"{asset.name}/versions/{number}")
        return made

    def _point(self, asset: Asset, alias: str, number: int | None) -> None:
        before = asset.aliases.get(alias, Pointer(None, 0))
        if number == before.number:
            return
        asset.aliases[alias] = Pointer(number, before.revision + 1, self._user, self._now)
        self.moves.append((self._now, asset.name, alias, number, self._user))
        self._did(self._act if self._touched else "alias.set", f"{asset.name}/aliases/{alias}")
        for moved, stage in ((before.number, ARCHIVED), (number, PRODUCTION)):
            if alias == STAGES[PRODUCTION] and moved is not None:
                self._put(asset, moved, stage=stage, updated=self._now)

    def _put(self, asset: Asset, number: int, **changes: Any) -> None:
        old = asset.versions[number]
        asset.versions[number] = replace(old, **changes, revision=(old.revision or 0) + 1)
        self._touched.add(f"{asset.name}/versions/{number}")

    def _put_asset(self, act: str, asset: Asset, changes: dict[str, Any]) -> Asset:
        if replace(asset, **changes) == asset:
            return asset
        changed = replace(asset, **changes, updated=self._now, revision=asset.revision + 1)
        self.assets[asset.name] = changed
        self._did(act, asset.name)
        return changed.copy()


def _mask(changes: dict[str, Any]) -> dict[str, bool]:
    return {"UPDATE_MASK_INVALID": not changes or not changes.keys() <= _CHANGEABLE}


_WRITES: dict[str, Callable[..., Any]] = {
    method.__name__: method
    for method in (
        *(Model.create_asset, Model.update_asset, Model.delete_asset, Model.undelete_asset),
        *(Model.create, Model.restore, Model.update, Model.delete, Model.undelete, Model.purge),
        *(Model.set_alias, Model.remove_alias),
    )
}
