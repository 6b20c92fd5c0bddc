"""Evaluations: queries. They never change, and none is dropped."""

from collections.abc import Iterator

from peewee import Query

from modelkeep.v1 import evaluation_pb2
from modelkeep_server.records.assets import StoredAsset
from modelkeep_server.records.encode import ENCODING_VERSION, message_bytes
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Evaluation
from modelkeep_server.records.transaction import Transaction

_ADD = Statement(
    lambda: Evaluation.insert(
        asset=bind("asset"),
        version_number=bind("version_number"),
        number=bind("number"),
        message=bind("message"),
        encoding_version=ENCODING_VERSION,
    )
)
_FIND = Statement(
    lambda: Evaluation.select(Evaluation.message).where(
        (Evaluation.asset == bind("asset"))
        & (Evaluation.version_number == bind("version_number"))
        & (Evaluation.number == bind("number"))
    )
)
_LAST = Statement(
    lambda: (
        Evaluation.select(Evaluation.number)
        .where(
            (Evaluation.asset == bind("asset"))
            & (Evaluation.version_number == bind("version_number"))
        )
        .order_by(Evaluation.number.desc())
        .limit(1)
    )
)

Place = tuple[int, int]
"""The number of a version, and of an evaluation of it."""


def next_number(session: Session, asset: StoredAsset, version_number: int) -> int:
    """Tell the number of a version's next evaluation; in a transaction that writes.

    Writes take turns, as they do for positions in the log, so none is used twice or left out.
    """
    row = session.row(_LAST, asset=asset.id, version_number=version_number)
    return row[0] + 1 if row else 1


def add(
    tx: Transaction, asset: StoredAsset, version_number: int, new: evaluation_pb2.Evaluation
) -> bytes:
    """Add an evaluation, and answer its message."""
    message = message_bytes(new)
    tx.session.put(
        _ADD, asset=asset.id, version_number=version_number, number=new.number, message=message
    )
    tx.note(new.name, 1, evaluation_pb2.Evaluation, None, message)
    return message


def find(session: Session, asset: StoredAsset, place: Place) -> bytes | None:
    """Find an evaluation's message."""
    row = session.row(_FIND, asset=asset.id, version_number=place[0], number=place[1])
    return row[0] if row else None


def page(
    session: Session,
    asset: StoredAsset,
    version_number: int | None,
    below: Place | None,
    limit: int,
) -> Iterator[tuple[Place, bytes]]:
    """List the evaluations of a version or of all, behind a place: the newest first."""
    query: Query = Evaluation.select(
        Evaluation.version_number, Evaluation.number, Evaluation.message
    ).where(Evaluation.asset == asset.id)
    if version_number is not None:
        query = query.where(Evaluation.version_number == version_number)
    if below is not None:
        version, number = below
        query = query.where(
            (Evaluation.version_number < version)
            | ((Evaluation.version_number == version) & (Evaluation.number < number))
        )
    query = query.order_by(Evaluation.version_number.desc(), Evaluation.number.desc())
    for version, number, message in session.each(query.limit(limit)):
        yield (version, number), message
