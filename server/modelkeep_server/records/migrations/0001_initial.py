"""The first schema, frozen: what comes later is a migration of its own."""

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

from modelkeep_server.records.schema import create_tables


class Table(Model):
    class Meta:
        legacy_table_names = False


class Setting(Table):
    key = TextField(primary_key=True)
    value = BlobField()


class Principal(Table):
    id = TextField(primary_key=True)
    display_name = TextField()
    created_us = BigIntegerField()


class Request(Table):
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
    name = TextField(unique=True)
    folded = TextField(unique=True)
    revision = IntegerField()
    message = BlobField()
    encoding_version = SmallIntegerField()


class Asset(Table):
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
    name = TextField(unique=True)


class Blob(Table):
    digest = BlobField(unique=True)
    size = BigIntegerField()
    key = TextField(unique=True)
    checksums = BlobField()
    created_us = BigIntegerField()
    grace_us = BigIntegerField()


class BlobHolder(Table):
    scope = ForeignKeyField(Scope, index=False)
    blob = ForeignKeyField(Blob)

    class Meta:
        primary_key = CompositeKey("scope", "blob")
        without_rowid = True


class StagedPart(Table):
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
    scope = ForeignKeyField(Scope, index=False)
    # Under which its sealing can be asked for: opaque, since row numbers tell of others.
    operation = TextField(unique=True)
    digest = BlobField()
    blob = ForeignKeyField(Blob)
    file_count = IntegerField()
    checked_files = IntegerField()
    size = BigIntegerField()
    sealed = BooleanField()
    fence = BigIntegerField()
    lease_us = BigIntegerField()

    class Meta:
        indexes = ((("scope", "digest"), True),)


class ManifestFile(Table):
    manifest = ForeignKeyField(Manifest, index=False)
    path = TextField()
    blob = ForeignKeyField(Blob)

    class Meta:
        primary_key = CompositeKey("manifest", "path")
        without_rowid = True


class Version(Table):
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


class Recipe(Table):
    version = ForeignKeyField(Version, primary_key=True)
    body = BlobField()


class Input(Table):
    version = ForeignKeyField(Version, backref="inputs", index=False)
    ordinal = IntegerField()
    source = ForeignKeyField(Version, backref="uses")
    role = SmallIntegerField()

    class Meta:
        primary_key = CompositeKey("version", "ordinal")
        without_rowid = True


class Alias(Table):
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
    asset = ForeignKeyField(Asset, index=False)
    position = BigIntegerField()
    deleted = BooleanField()
    log_us = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("asset", "position")
        without_rowid = True


class Event(Table):
    position = BigIntegerField(primary_key=True)
    event_id = TextField(unique=True)
    log_us = BigIntegerField()
    leaf = BlobField()
    leaf_hash = BlobField()
    reason = TextField(null=True)
    reason_salt = BlobField(null=True)


class EventBody(Table):
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
    scope = TextField()
    position = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("scope", "position")
        without_rowid = True


TABLES: tuple[type[Table], ...] = (
    Setting,
    Principal,
    Request,
    Namespace,
    Asset,
    Scope,
    Blob,
    BlobHolder,
    StagedPart,
    Manifest,
    ManifestFile,
    Version,
    Recipe,
    Input,
    Alias,
    AliasMove,
    StageMove,
    AssetMove,
    Event,
    EventBody,
    EventScope,
)


def up(migrator, db):
    create_tables(db, TABLES)
