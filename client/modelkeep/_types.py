"""What the registry answers: immutable values, each with `to_dict()`, its JSON form.

Times are aware and in UTC, sizes are bytes, digests are `sha256:` and 64 hex digits; kinds,
stages and roles are lower-case words; people are `principals/{principal}`, which says nothing
about them (`Client.principal` tells their name).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from modelkeep._handle import Handle, Scalar
from modelkeep.names import AssetName, Reference, VersionName


@dataclass(frozen=True, slots=True)
class Namespace(Handle):
    """A team's space."""

    name: str
    display_name: str
    description: str
    labels: Mapping[str, str] = field(hash=False)
    undelete_period: timedelta  # how long what is deleted here can be undeleted
    creator: str
    create_time: datetime
    update_time: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class Asset(Handle):
    """Anything kept: a name under which versions are numbered."""

    name: str
    kind: str
    display_name: str
    description: str
    labels: Mapping[str, str] = field(hash=False)
    latest_number: int  # of the live versions; 0 where there is none
    version_count: int
    size: int
    creator: str
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    purge_time: datetime | None
    etag: str

    @property
    def reference(self) -> str:
        """How people write it: `fraud/churn`."""
        parsed = AssetName.parse(self.name)
        return f"{parsed.namespace}/{parsed.asset}"


@dataclass(frozen=True, slots=True)
class Input(Handle):
    """What a version was made from or uses, and the role that it had.

    For a push, `version` may be any reference (`churn-data@latest` means the version that it is
    now), and an empty `role` lets the server choose: `trained-on` for a data set, else `uses`.
    Something outside has a `uri`, which nobody fetches, and needs its `digest`.
    """

    version: str = ""
    uri: str = ""
    digest: str = ""
    role: str = ""  # trained-on, fine-tuned-from, evaluated-on, uses


@dataclass(frozen=True, slots=True)
class Flavor(Handle):
    """The framework whose files a version holds, and what its loader needs to know."""

    name: str
    version: str = ""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Field(Handle):
    """A column or tensor: NumPy's name of its type, and its shape with -1 for what varies."""

    dtype: str
    name: str = ""
    shape: tuple[int, ...] = ()
    optional: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Signature(Handle):
    """What goes into a version when it's used, and what comes out."""

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Version(Handle):
    """An immutable content with its record.

    Of its fields only `stage`, `aliases`, `display_name`, `description`, `labels` and the times
    of change and deletion can be others when asked again.
    """

    name: str
    number: int
    digest: str
    stage: str
    aliases: tuple[str, ...]
    params: Mapping[str, Scalar] = field(hash=False)
    metrics: Mapping[str, float] = field(hash=False)
    labels: Mapping[str, str] = field(hash=False)
    display_name: str
    description: str
    change_note: str
    author: str
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    purge_time: datetime | None
    purged: bool
    file_count: int
    size: int
    inputs: tuple[Input, ...]
    flavor: Flavor | None
    signature: Signature | None
    recipe_digest: str  # empty where it has no recipe
    restored_from: str  # the version that `restore` made it from, or empty
    record_digest: str
    etag: str

    @property
    def reference(self) -> str:
        """How people write it: `fraud/churn:7`."""
        parsed = VersionName.parse(self.name)
        return str(Reference(parsed.namespace, parsed.asset, parsed.number))


@dataclass(frozen=True, slots=True)
class Evaluation(Handle):
    """What was measured of a version after it was made. It never changes."""

    name: str
    version: str  # the version's resource name
    number: int  # from 1 in its version
    metrics: Mapping[str, float] = field(hash=False)  # over all of the data
    slices: Mapping[str, Mapping[str, float]] = field(hash=False)  # by part of the data
    data_set: Input | None
    measure_time: datetime
    note: str
    evaluator: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Alias(Handle):
    """A movable pointer to a version."""

    name: str
    version: str  # empty in the answer that says it was removed
    updater: str
    update_time: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class AliasChange(Handle):
    """One move of an alias."""

    alias: str
    version: str  # what it pointed to from then on; empty where it was removed
    principal: str
    log_time: datetime
    event: str


@dataclass(frozen=True, slots=True)
class File(Handle):
    """A file of a version."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ValueChange(Handle):
    """A value that differs: JSON values, `None` where there is none."""

    key: str
    before: Any = field(hash=False)
    after: Any = field(hash=False)


@dataclass(frozen=True, slots=True)
class FileChange(Handle):
    """A file that differs; `None` on the side that doesn't have it."""

    path: str
    before: File | None
    after: File | None


@dataclass(frozen=True, slots=True)
class Diff(Handle):
    """What differs between two versions, each part in the order of its keys."""

    base: str
    other: str
    params: tuple[ValueChange, ...]
    metrics: tuple[ValueChange, ...]
    labels: tuple[ValueChange, ...]
    recipe: tuple[ValueChange, ...]  # by path: `environment.packages.numpy`
    recipe_cut: bool  # whether more of the recipes differs than an answer has room for
    files: tuple[FileChange, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any((self.params, self.metrics, self.labels, self.recipe, self.files))


@dataclass(frozen=True, slots=True)
class Change(Handle):
    """What an event did to one resource.

    `before` and `after` are the resource in the JSON form of its own handle. `None` where there
    was none, where it was erased, or where you may not read it.
    """

    resource: str
    revision: int
    before: Mapping[str, Any] | None = field(hash=False)
    after: Mapping[str, Any] | None = field(hash=False)


@dataclass(frozen=True, slots=True)
class Event(Handle):
    """One entry of the log: who did what to which resources, when."""

    name: str
    position: int
    log_time: datetime
    act: str  # `version.created`, `alias.set`
    principal: str
    who: str  # the principal's display name, or its id where that can't be had
    reason: str
    changes: tuple[Change, ...]
    method: str
    request_id: str
    event_id: str
    act_time: datetime


@dataclass(frozen=True, slots=True)
class SignedCheckpoint(Handle):
    """What the log was at one time: keep `note`, and `key` once."""

    origin: str
    size: int  # entries; the position of the last
    root_hash: str  # 64 hex digits
    note: str
    key: str


@dataclass(frozen=True, slots=True)
class InclusionProof(Handle):
    """Shows that an event is in the log of a checkpoint; it was checked."""

    event: str
    leaf: str  # hex: the bytes of its `LogLeaf`
    index: int
    hashes: tuple[str, ...]  # hex
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class Principal(Handle):
    """Someone who acts."""

    name: str
    display_name: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Finding(Handle):
    """Something in a registry that is not as modelkeep left it."""

    what: str  # the kind of thing: `blob`, `version`, `event`
    resource: str  # which one: a resource name, a digest, a path
    text: str  # what is wrong with it, in one line


@dataclass(frozen=True, slots=True)
class Operation(Handle):
    """Long work of the server, which goes on whether or not anyone waits."""

    name: str
    kind: str  # `collect-garbage`, `verify-registry`, `seal`
    done: bool
    dry_run: bool  # it changes nothing
    error: str  # why it came to nothing; empty where it did not
    progress: Mapping[str, int] = field(hash=False)  # counts by name: `deleted_bytes`
    findings: tuple[Finding, ...] = ()  # of a check that is done: the first of `finding_count`


@dataclass(frozen=True, slots=True)
class ServerInfo(Handle):
    """What a server is, and its limits by name."""

    version: str
    open: bool  # anyone who reaches it may do anything, and no name is verified
    time: datetime
    log_position: int
    limits: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Progress(Handle):
    """How far a push or a pull is.

    Phases of a push: `hashing`, `uploading`, `sealing`; of a pull: `copying` (from the cache),
    `downloading`. Totals are those of the phase, and 0 where they aren't known.
    """

    phase: str
    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int


@dataclass(frozen=True, slots=True)
class CacheEntry(Handle):
    """Something in the cache: a `blob`, a `tree` of a pulled version, or an unfinished `part`.

    `size` is what it alone takes up: 0 for a tree, which shares its bytes with blobs.
    """

    kind: str
    digest: str
    size: int
    used_time: datetime
