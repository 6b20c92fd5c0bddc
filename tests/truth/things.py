"""What the model's namespace is made of: values that never change, and dicts of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

ANY = -1  # an etag that is not given
NONE_YET = 0  # the etag `-`
STALE = -2  # an etag that the resource never had
NOT_TOLD = -1  # what a version's `purge_time` was, as of a time

DEVELOPMENT, PRODUCTION, ARCHIVED = "DEVELOPMENT", "PRODUCTION", "ARCHIVED"
STAGES = {DEVELOPMENT: "development", PRODUCTION: "production", ARCHIVED: "archived"}

_CODES = {
    "RESOURCE_NOT_FOUND": "NOT_FOUND",
    "NAME_TAKEN": "ALREADY_EXISTS",
    "ETAG_MISMATCH": "ABORTED",
    "FIELD_INVALID": "INVALID_ARGUMENT",
    "UPDATE_MASK_INVALID": "INVALID_ARGUMENT",
    "REQUEST_ID_REUSED": "INVALID_ARGUMENT",
    "TIME_IN_FUTURE": "INVALID_ARGUMENT",
}


class Refused(Exception):  # noqa: N818  # an answer
    """A call changed nothing, for one of these reasons."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons

    def allows(self, code: str, reason: str) -> bool:
        """Tell whether an error is this refusal."""
        return reason in self.reasons and code == _CODES.get(reason, "FAILED_PRECONDITION")


def refuse(**reasons: Any) -> None:
    """Refuse for the reasons that hold, if any does."""
    if holding := [reason for reason, holds in reasons.items() if holds]:
        raise Refused(*holding)


class Input(NamedTuple):
    """A version that another was made from."""

    asset: str
    number: int
    digest: str
    role: str


@dataclass(frozen=True)
class Version:
    """A version. `created`, `updated`, `deleted` and `purged` are the events that did it."""

    number: int
    digest: str
    author: str
    created: int
    note: str
    inputs: tuple[Input, ...]
    updated: int
    restored_from: int = 0
    recipe: bool = False
    description: str = ""
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stage: str = DEVELOPMENT
    deleted: int | None = None
    purged: int | None = None
    revision: int | None = 1  # None: not told, as of a time


@dataclass(frozen=True)
class Pointer:
    """An alias; of a removed one the number is None, and its revisions go on."""

    number: int | None
    revision: int
    updater: str = ""
    updated: int = 0


@dataclass(frozen=True)
class Seen:
    """A version as an answer shows it. `released`: the purge that its `purge_time` tells of."""

    asset: str
    version: Version
    aliases: tuple[str, ...]
    released: int | None


@dataclass(frozen=True)
class SeenAlias:
    """An alias as an answer shows it."""

    asset: str
    name: str
    pointer: Pointer


@dataclass(frozen=True)
class Entry:
    """An event of the log; `touched` are the resources that it changed."""

    act: str
    user: str
    request_id: str
    touched: frozenset[str]


@dataclass(frozen=True)
class Asset:
    """An asset with what is under it."""

    name: str
    kind: str = "MODEL"
    creator: str = ""
    created: int = 0
    updated: int = 0
    description: str = ""
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    deleted: int | None = None
    revision: int = 1
    versions: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, Pointer] = field(default_factory=dict)

    def copy(self) -> "Asset":
        """Keep it as it is now."""
        return replace(self, versions=dict(self.versions), aliases=dict(self.aliases))

    @property
    def live(self) -> list[Version]:
        """Its versions that are not deleted, by number."""
        return [version for version in self.versions.values() if version.deleted is None]

    def find(self, selector: str | int) -> Version | None:
        """Find what a number, `latest`, a digest, `@stage` or `@alias` means."""
        if isinstance(selector, int):
            return self.versions.get(selector)
        name = selector.removeprefix("@")
        if name in self.aliases:
            return self.versions.get(self.aliases[name].number or 0)
        fitting = [v for v in self.live if name in ("latest", v.digest, STAGES.get(v.stage))]
        return max(fitting, key=lambda version: version.number, default=None)

    def pointing(self, number: int) -> tuple[str, ...]:
        """Name the aliases that point to a version."""
        return tuple(sorted(n for n, pointer in self.aliases.items() if pointer.number == number))

    def seen(self, number: int) -> Seen:
        """Show a version with its aliases."""
        version = self.versions[number]
        return Seen(self.name, version, self.pointing(number), version.purged)

    def alias_etag(self, alias: str) -> int:
        """Tell an alias's etag."""
        pointer = self.aliases.get(alias)
        return NONE_YET if pointer is None or pointer.number is None else pointer.revision

    def is_taken(self, alias: str, *others: str) -> bool:
        """Tell whether an alias differs only in case from one that is, or once was."""
        names = {*self.aliases, *others}
        return alias not in names and alias.lower() in map(str.lower, names)
