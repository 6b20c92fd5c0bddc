"""Long work, the collection of bytes that nothing refers to, evaluations, and the log's tree."""

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


class CondemnedBlob(Table):
    key = TextField(primary_key=True)
    size = BigIntegerField()
    due_us = BigIntegerField()

    class Meta:
        without_rowid = True


class LogNode(Table):
    tier = SmallIntegerField()
    ordinal = BigIntegerField()
    hash = BlobField()

    class Meta:
        primary_key = CompositeKey("tier", "ordinal")
        without_rowid = True


class Operation(Table):
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


class Asset(Table):
    pass


class Evaluation(Table):
    asset = ForeignKeyField(Asset, index=False)
    version_number = IntegerField()
    number = IntegerField()
    message = BlobField()
    encoding_version = SmallIntegerField()

    class Meta:
        primary_key = CompositeKey("asset", "version_number", "number")
        without_rowid = True


class Version(Table):
    purged = BooleanField()
    purge_us = BigIntegerField(null=True)


Version.add_index(
    Version.purged,
    Version.purge_us,
    where=Version.purge_us.is_null(False),
    name="version_purged_purge_us",
)

TABLES: tuple[type[Table], ...] = (CondemnedBlob, Evaluation, LogNode, Operation)


def up(migrator, db):
    create_tables(db, TABLES)
    migrator.migrate(migrator.drop_not_null("manifest", "blob_id"))
    # Of those that are deleted alone, so that making a version costs no more.
    db.execute(Version._meta.fields_to_index()[-1])
