"""The tables, as peewee sees them. `migrations/` makes them; a test holds the two together.

Rows keep the answer: beside the columns that queries need stands the resource's message,
serialized, as `encode.py` made it. Times are microseconds since 1970 UTC; digests are their
32 bytes.
"""

from typing import Any

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    Model,
    SmallIntegerField,
    TextField,
)


class Table(Model):
    """What all tables have in common."""

    id: Any  # peewee adds it where no other primary key is named

    class Meta:
        """No database of its own: `database.py` decides."""

        legacy_table_names = False


class Setting(Table):
    """What the database knows about itself: keys and the log's origin."""

    key = TextField(primary_key=True)
    value = BlobField()


class Principal(Table):
    """The names of people, apart from everything they did."""

    id = TextField(primary_key=True)
    display_name = TextField()
    created_us = BigIntegerField()


class Request(Table):
    """Answers kept for a day, for repeats of the request."""

    principal = TextField()
    method = TextField()
    request_id = TextField()
    request_hash = BlobField()
    body = BlobField()
    event_id = TextField()
    time_us = BigIntegerField(index=True)

    class Meta:
        primary_key = CompositeKey("principal", "method", "request_id")
        without_rowid = True


class Namespace(Table):
    """A team's space."""

    name = TextField(unique=True)
    folded = TextField(unique=True)
    revision = IntegerField()
    message = BlobField()
    encoding_version = SmallIntegerField()


class Asset(Table):
    """A name under which versions are numbered. The counters are in no revision."""

    namespace = ForeignKeyField(Namespace, index=False)
    # Its whole name, `namespaces/{namespace}/assets/{asset}`: one look-up instead of two.
    resource = TextField(unique=True)
    folded = TextField()
    kind = SmallIntegerField()
    revision = IntegerField()
    deleted_us = BigIntegerField(null=True)
    purge_us = BigIntegerField(null=True)
    next_number = IntegerField()
    latest_number = IntegerField()
    version_count = IntegerField()
    size = BigIntegerField()
    message = BlobField()
    encoding_version = SmallIntegerField()

    class Meta:
        indexes = ((("namespace", "folded"), True),)


class Scope(Table):
    """A namespace or an asset, which need not exist, that blobs were sent to."""

    name = TextField(unique=True)


class Blob(Table):
    """Bytes that are here: the row is what publishes them."""

    digest = BlobField(unique=True)
    size = BigIntegerField()
    key = TextField(unique=True)
    checksums = BlobField()
    created_us = BigIntegerField()
    grace_us = BigIntegerField()


class CondemnedBlob(Table):
    """Bytes in the store to which no row gives a digest any more: gone when their time comes."""

    key = TextField(primary_key=True)
    size = BigIntegerField()
    due_us = BigIntegerField()

    class Meta:
        without_rowid = True


class BlobHolder(Table):
    """Whose bytes: a blob belongs where it was sent to."""

    scope = ForeignKeyField(Scope, index=False)
    blob = ForeignKeyField(Blob)

    class Meta:
        primary_key = CompositeKey("scope", "blob")
        without_rowid = True


class StagedPart(Table):
    """A part of a blob, and the lease of who sends it."""

    scope = ForeignKeyField(Scope, index=False)
    principal = TextField()
    digest = BlobField()
    key = TextField(unique=True)
    size = BigIntegerField()
    durable_size = BigIntegerField()
    fence = BigIntegerField()
    lease_us = BigIntegerField()
    changed_us = BigIntegerField(index=True)

    class Meta:
        indexes = ((("scope", "principal", "digest"), True),)


class Manifest(Table):
    """A manifest, being sealed or sealed. One whose versions were all purged has no blob."""

    scope = ForeignKeyField(Scope, index=False)
    # Under which its sealing can be asked for: opaque, since row numbers tell of others.
    operation = TextField(unique=True)
    digest = BlobField()
    blob = ForeignKeyField(Blob, null=True)
    file_count = IntegerField()
    checked_files = IntegerField()
    size = BigIntegerField()
    sealed = BooleanField()
    fence = BigIntegerField()
    lease_us = BigIntegerField()

    class Meta:
        indexes = ((("scope", "digest"), True),)


class ManifestFile(Table):
    """A line of a manifest: the reference that keeps its blob."""

    manifest = ForeignKeyField(Manifest, index=False)
    path = TextField()
    blob = ForeignKeyField(Blob)

    class Meta:
        primary_key = CompositeKey("manifest", "path")
        without_rowid = True


class Version(Table):
    """An immutable content with its record. Its message is `base` and then `tail`."""

    asset = ForeignKeyField(Asset, index=False)
    number = IntegerField()
    digest = BlobField()
    manifest = ForeignKeyField(Manifest)
    stage = SmallIntegerField()
    revision = IntegerField()
    deleted_us = BigIntegerField(null=True)
    purge_us = BigIntegerField(null=True)
    purged = BooleanField()
    base = BlobField()
    tail = BlobField()
    encoding_version = SmallIntegerField()

    class Meta:
        indexes = (
            (("asset", "number"), True),
            (("asset", "digest", "number"), False),
            (("asset", "stage", "number"), False),
        )


# Of those that are deleted alone, so that making a version costs no more.
Version.add_index(
    Version.purged,
    Version.purge_us,
    where=Version.purge_us.is_null(False),
    name="version_purged_purge_us",
)


class Recipe(Table):
    """What made a version."""

    version = ForeignKeyField(Version, primary_key=True)
    body = BlobField()


class Evaluation(Table):
    """What was measured of a version. Never changes, and is never dropped."""

    asset = ForeignKeyField(Asset, index=False)
    version_number = IntegerField()
    number = IntegerField()
    message = BlobField()
    encoding_version = SmallIntegerField()

    class Meta:
        primary_key = CompositeKey("asset", "version_number", "number")
        without_rowid = True


class Input(Table):
    """An edge of the lineage between two versions."""

    version = ForeignKeyField(Version, backref="inputs", index=False)
    ordinal = IntegerField()
    source = ForeignKeyField(Version, backref="uses")
    role = SmallIntegerField()

    class Meta:
        primary_key = CompositeKey("version", "ordinal")
        without_rowid = True


class Alias(Table):
    """A pointer to a version. A removed one keeps its row, and so its revisions and its name."""

    asset = ForeignKeyField(Asset, index=False)
    name = TextField()
    folded = TextField()
    version = ForeignKeyField(Version, null=True)
    revision = IntegerField()
    message = BlobField()
    encoding_version = SmallIntegerField()

    class Meta:
        indexes = ((("asset", "name"), True), (("asset", "folded"), True))


class AliasMove(Table):
    """One move of an alias; no version where it was removed."""

    asset = ForeignKeyField(Asset, index=False)
    position = BigIntegerField()
    name = TextField()
    version = ForeignKeyField(Version, null=True, index=False)
    principal = TextField()
    log_us = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("asset", "name", "position")
        indexes = ((("asset", "position"), False),)
        without_rowid = True


class StageMove(Table):
    """One move of a version; stage 0 where it was deleted."""

    asset = ForeignKeyField(Asset, index=False)
    number = IntegerField()
    position = BigIntegerField()
    version = ForeignKeyField(Version, index=False)
    stage = SmallIntegerField()
    log_us = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("asset", "number", "position")
        without_rowid = True


class AssetMove(Table):
    """An asset's deletion, or the end of one."""

    asset = ForeignKeyField(Asset, index=False)
    position = BigIntegerField()
    deleted = BooleanField()
    log_us = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("asset", "position")
        without_rowid = True


class Event(Table):
    """An entry of the log: the leaf's stored bytes and their hash."""

    position = BigIntegerField(primary_key=True)
    event_id = TextField(unique=True)
    log_us = BigIntegerField()
    leaf = BlobField()
    leaf_hash = BlobField()
    reason = TextField(null=True)
    reason_salt = BlobField(null=True)


class EventBody(Table):
    """What one change of an event was before and after; may be erased without breaking the log."""

    position = BigIntegerField()
    ordinal = IntegerField()
    before = BlobField(null=True)
    before_salt = BlobField(null=True)
    after = BlobField(null=True)
    after_salt = BlobField(null=True)

    class Meta:
        primary_key = CompositeKey("position", "ordinal")
        without_rowid = True


class EventScope(Table):
    """Which events concern a resource or one below it."""

    scope = TextField()
    position = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("scope", "position")
        without_rowid = True


class LogNode(Table):
    """The hash over 256 of the tier below; tier 0 are the leaves, which lie with their events."""

    tier = SmallIntegerField()
    ordinal = BigIntegerField()
    hash = BlobField()

    class Meta:
        primary_key = CompositeKey("tier", "ordinal")
        without_rowid = True


class Operation(Table):
    """Long work that was asked for: how far it is, and what came of it."""

    # Opaque, as a seal's.
    name = TextField(unique=True)
    kind = TextField()
    principal = TextField()
    created_us = BigIntegerField()
    request = BlobField()
    # Whether an event says that it was asked for.
    logged = BooleanField()
    # Where it goes on.
    cursor = TextField()
    progress = BlobField()
    cancelled = BooleanField()
    done = BooleanField()
    # A `google.rpc.Status`, where it came to nothing.
    error = BlobField(null=True)
    fence = BigIntegerField()
    lease_us = BigIntegerField()

    class Meta:
        indexes = ((("done", "id"), False),)


TABLES: tuple[type[Table], ...] = (
    Setting,
    Principal,
    Request,
    Namespace,
    Asset,
    Scope,
    Blob,
    CondemnedBlob,
    BlobHolder,
    StagedPart,
    Manifest,
    ManifestFile,
    Version,
    Recipe,
    Evaluation,
    Input,
    Alias,
    AliasMove,
    StageMove,
    AssetMove,
    Event,
    EventBody,
    EventScope,
    LogNode,
    Operation,
)
