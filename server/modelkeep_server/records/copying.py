"""All rows of one database, copied into another, whichever kinds the two are.

* What is copied is one state of the source, whatever is committed there meanwhile.
* Tables come after those that they refer to, and the rows of each by its key; so what a copy that
  was cut short has of a table is its beginning, and it goes on behind that.
* Rows keep their numbers, and new ones go on behind them.
* What has bytes that are not copied is not copied either: parts of uploads, and what collection
  has condemned.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from peewee import BooleanField, Field, Query, Tuple, fn

from modelkeep_server.records.database import Database
from modelkeep_server.records.settings import copied_settings, put_settings
from modelkeep_server.records.sql import Row, Session, Statement, bind
from modelkeep_server.records.tables import TABLES, CondemnedBlob, Setting, StagedPart, Table

_MOST_ROWS = 500
_MOST_BYTES = 4 * 1024 * 1024

_APART: tuple[type[Table], ...] = (Setting, StagedPart, CondemnedBlob)

Batch = list[dict[str, object]]


def copy(source: Session, target: Database, *, moves: bool) -> None:
    """Copy what the target lacks; where the registry `moves`, with the keys of what it gave out."""
    with source.one_state():
        settings = copied_settings(source, moves=moves)
        target.write(partial(put_settings, settings=settings))
        for table in TABLES:
            if table not in _APART:
                _copy_table(source, target, table)
    if target.is_shared:
        target.write(_number_on)


def is_empty(session: Session) -> bool:
    """Tell whether a database has no rows."""
    return all(session.row(table.select(*_key(table)).limit(1)) is None for table in TABLES)


def _copy_table(source: Session, target: Database, table: type[Table]) -> None:
    fields = table._meta.sorted_fields
    statement = Statement(lambda: table.insert({field: bind(field.name) for field in fields}))
    last = target.read().row(_last(table))
    for batch in _batches(fields, source.each(_behind(table, fields, last))):
        target.write(_adding(statement, batch))


def _adding(statement: Statement, batch: Batch) -> Callable[[Session], None]:
    return lambda session: session.many(statement, batch)


def _behind(table: type[Table], fields: list[Field], last: Row | None) -> Query:
    """Ask for the rows behind the last that was copied."""
    key = _key(table)
    query = table.select(*fields).order_by(*key)
    return query if last is None else query.where(Tuple(*key) > Tuple(*last))


def _last(table: type[Table]) -> Query:
    key = _key(table)
    return table.select(*key).order_by(*(field.desc() for field in key)).limit(1)


def _key(table: type[Table]) -> list[Field]:
    found = table._meta.get_primary_keys()  # type: ignore[no-untyped-call]
    return list(found)


def _batches(fields: list[Field], rows: Iterable[Row]) -> Iterator[Batch]:
    """Put rows together that are written at once, so that memory is bounded."""
    batch: Batch = []
    size = 0
    for row in rows:
        batch.append({f.name: _value(f, v) for f, v in zip(fields, row, strict=True)})
        size += sum(len(value) for value in row if isinstance(value, bytes | str))
        if len(batch) == _MOST_ROWS or size >= _MOST_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _value(field: Field, value: Any) -> Any:
    """Give a value as every kind of database takes it: SQLite has numbers for truth."""
    return bool(value) if isinstance(field, BooleanField) and value is not None else value


def _number_on(session: Session) -> None:
    """Let new rows be numbered behind those that were copied, which Postgres does not by itself."""
    for table in TABLES:
        if table._meta.auto_increment:
            sequence = fn.pg_get_serial_sequence(f'"{table._meta.table_name}"', "id")
            numbers = table.select(fn.setval(sequence, fn.MAX(table.id))).having(
                fn.MAX(table.id).is_null(False)
            )
            session.rows(numbers)
