"""Namespaces: queries."""

from collections.abc import Iterator
from dataclasses import dataclass

from modelkeep.names import fold
from modelkeep.v1 import namespace_pb2
from modelkeep_server.records.encode import ENCODING_VERSION, message_bytes, read_stored
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import Namespace
from modelkeep_server.records.transaction import Transaction, etag

_COLUMNS = (Namespace.id, Namespace.name, Namespace.revision, Namespace.message)
_FIND = Statement(lambda: Namespace.select(*_COLUMNS).where(Namespace.name == bind("name")))
_FIND_FOLDED = Statement(
    lambda: Namespace.select(Namespace.name).where(Namespace.folded == bind("folded"))
)
_ADD = Statement(
    lambda: Namespace.insert(
        name=bind("name"),
        folded=bind("folded"),
        revision=1,
        message=bind("message"),
        encoding_version=ENCODING_VERSION,
    )
)
_PUT = Statement(
    lambda: Namespace.update(
        revision=bind("revision"), message=bind("message"), encoding_version=ENCODING_VERSION
    ).where(Namespace.id == bind("id"))
)
_PAGE = Statement(
    lambda: (
        Namespace.select(Namespace.name, Namespace.message)
        .where(Namespace.name > bind("after"))
        .order_by(Namespace.name)
        .limit(bind("limit"))
    )
)


@dataclass(frozen=True, slots=True)
class StoredNamespace:
    """A namespace's row. `name` is the last segment of its resource name."""

    id: int
    name: str
    revision: int
    message: bytes

    def parsed(self) -> namespace_pb2.Namespace:
        """Read its message."""
        return read_stored(namespace_pb2.Namespace, self.message)


def find(session: Session, name: str) -> StoredNamespace | None:
    """Find a namespace by the last segment of its name."""
    row = session.row(_FIND, name=name)
    return StoredNamespace(*row) if row else None


def taken(session: Session, name: str) -> str | None:
    """Tell the namespace whose name is this one, but for case."""
    row = session.row(_FIND_FOLDED, folded=fold(name))
    return row[0] if row else None


def page(session: Session, after: str, limit: int) -> Iterator[Row]:
    """List names with messages, from behind a name on."""
    return session.each(_PAGE, after=after, limit=limit)


def add(tx: Transaction, name: str, namespace: namespace_pb2.Namespace) -> bytes:
    """Add a namespace, and answer its message."""
    namespace.etag = etag(1)
    message = message_bytes(namespace)
    tx.session.insert(_ADD, name=name, folded=fold(name), message=message)
    tx.note(namespace.name, 1, namespace_pb2.Namespace, None, message)
    return message


def put(tx: Transaction, stored: StoredNamespace, namespace: namespace_pb2.Namespace) -> bytes:
    """Change a namespace, and answer its message."""
    revision = stored.revision + 1
    namespace.etag = etag(revision)
    message = message_bytes(namespace)
    tx.session.put(_PUT, id=stored.id, revision=revision, message=message)
    tx.note(namespace.name, revision, namespace_pb2.Namespace, stored.message, message)
    return message
