"""Namespaces: what may happen to them.

* Names are unique, also but for case.
* `default` exists from the start.
"""

from contextlib import suppress

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from modelkeep.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from modelkeep.names import NamespaceName
from modelkeep.v1 import namespace_pb2
from modelkeep_server.domain.updates import apply_mask, check_etag
from modelkeep_server.records import namespaces as rows
from modelkeep_server.records.encode import timestamp
from modelkeep_server.records.namespaces import StoredNamespace
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call

DEFAULT = "default"
UNDELETE_PERIOD = Duration(seconds=30 * 24 * 3600)
_LONGEST_SECONDS = 3_650 * 24 * 3600
_CHANGEABLE = frozenset({"display_name", "description", "labels", "undelete_period"})


def create(records: Records, call: Call, name: str, wanted: namespace_pb2.Namespace) -> Answer:
    """Make a namespace, or change nothing."""

    def work(tx: Transaction) -> bytes:
        taken = rows.taken(tx.session, name)
        if taken is not None:
            resource = str(NamespaceName(taken))
            raise AlreadyExistsError(
                "NAME_TAKEN", f"{resource} exists; choose another name", resource=resource
            )
        namespace = namespace_pb2.Namespace(
            name=str(NamespaceName(name)),
            display_name=wanted.display_name,
            description=wanted.description,
            labels=wanted.labels,
            undelete_period=wanted.undelete_period
            if wanted.HasField("undelete_period")
            else UNDELETE_PERIOD,
            creator=tx.call.principal,
            create_time=timestamp(tx.time_us),
            update_time=timestamp(tx.time_us),
        )
        check_undelete_period(namespace)
        return rows.add(tx, name, namespace)

    return records.change(call, "namespace.created", work)


def update(
    records: Records, call: Call, wanted: namespace_pb2.Namespace, mask: FieldMask
) -> Answer:
    """Change a namespace's own fields."""

    def work(tx: Transaction) -> bytes:
        stored = get(tx.session, NamespaceName.parse(wanted.name, "namespace.name").namespace)
        namespace = stored.parsed()
        check_etag(namespace.name, namespace.etag, wanted.etag)
        if not apply_mask(namespace, wanted, mask, _CHANGEABLE):
            return stored.message
        check_undelete_period(namespace)
        namespace.update_time.CopyFrom(timestamp(tx.time_us))
        return rows.put(tx, stored, namespace)

    return records.change(call, "namespace.updated", work)


def ensure_default(records: Records, call: Call) -> None:
    """Make the namespace that exists from the start."""
    if rows.find(records.read(), DEFAULT) is None:
        with suppress(AlreadyExistsError):  # another server was faster
            create(records, call, DEFAULT, namespace_pb2.Namespace(display_name="Default"))


def get(session: Session, name: str) -> StoredNamespace:
    """Find a namespace, or refuse."""
    stored = rows.find(session, name)
    if stored is None:
        resource = str(NamespaceName(name))
        raise NotFoundError("RESOURCE_NOT_FOUND", f"{resource} does not exist", resource=resource)
    return stored


def check_undelete_period(namespace: namespace_pb2.Namespace) -> None:
    """Refuse a period that is negative or longer than ten years."""
    period = namespace.undelete_period
    if period.nanos < 0 or not 0 <= period.seconds <= _LONGEST_SECONDS:
        raise InvalidArgumentError(
            "FIELD_INVALID",
            "undelete_period must be between 0 and 3,650 days",
            field="namespace.undelete_period",
        )
