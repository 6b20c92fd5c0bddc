"""SQLite keeps any kind of value in any column: which columns hold what they never should."""

from collections.abc import Iterator

import apsw
from peewee import BlobField, Field, TextField

from modelkeep_server.records.tables import TABLES, Table


def wrong_kinds(connection: apsw.Connection) -> Iterator[str]:
    """Yield a line for each column with values of another kind; unreadable tables are left out."""
    for table in TABLES:
        fields = table._meta.sorted_fields
        try:
            counts = next(connection.execute(_count(table, fields)))
        except apsw.Error:
            continue
        for field, count in zip(fields, counts, strict=True):
            if count:
                where = f"{table._meta.table_name}.{field.column_name}"
                yield f"{count:.0f} values of {where} are no {_kind(field)}"


def _count(table: type[Table], fields: list[Field]) -> str:
    counts = ", ".join(f"TOTAL({_is_wrong(field)})" for field in fields)
    return f'SELECT {counts} FROM "{table._meta.table_name}"'  # noqa: S608  # the names are ours


def _is_wrong(field: Field) -> str:
    kinds = [_kind(field), *(["null"] if field.null else [])]
    return f'typeof("{field.column_name}") NOT IN ({", ".join(map(repr, kinds))})'


def _kind(field: Field) -> str:
    if isinstance(field, BlobField):
        return "blob"
    return "text" if isinstance(field, TextField) else "integer"
