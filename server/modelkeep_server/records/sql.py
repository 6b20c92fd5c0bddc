"""Queries built by peewee, rendered to SQL once.

Building a query costs 25 times what running it does, so a query that is run often is a
`Statement`: its SQL is kept, and only values are bound when it runs.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from peewee import Database, Query, Value

Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Bind:
    name: str


def bind(name: str) -> Value:
    """Hold a place in a `Statement` for the value given as `name` when it runs."""
    return Value(_Bind(name), converter=False, unpack=False)


class Statement:
    """A query whose SQL is rendered once for each kind of database."""

    def __init__(self, build: Callable[[], Query]) -> None:
        """Take what builds the query, with `bind` where values go."""
        self._build = build
        self._rendered: dict[type[Database], tuple[str, list[object]]] = {}

    def render(self, database: Database, values: dict[str, object]) -> tuple[str, list[object]]:
        """Tell the SQL and its parameters."""
        kind = type(database)
        if kind not in self._rendered:
            self._rendered[kind] = render(database, self._build())
        sql, parameters = self._rendered[kind]
        return sql, [values[p.name] if isinstance(p, _Bind) else p for p in parameters]


def render(database: Database, query: Query) -> tuple[str, list[object]]:
    """Render a query that is built anew each time."""
    sql, parameters = database.get_sql_context().sql(query).query()  # type: ignore[no-untyped-call]
    return sql, list(parameters)


class Session(Protocol):
    """A connection to the database, or one transaction on it."""

    def rows(self, query: Statement | Query, **values: object) -> list[Row]:
        """Run a query, and answer all its rows."""

    def each(self, query: Statement | Query, **values: object) -> Iterator[Row]:
        """Run a query, and yield its rows as they are read."""

    def row(self, query: Statement | Query, **values: object) -> Row | None:
        """Run a query, and answer its first row."""

    def one_state(self) -> AbstractContextManager[None]:
        """Let all queries of the block see the same state, whatever is committed meanwhile."""

    def many(self, statement: Statement, values: list[dict[str, object]]) -> None:
        """Run a statement once for each set of values, as `put` does."""

    def put(self, query: Statement | Query, **values: object) -> None:
        """Run a write at the latest before the next query's answer or the commit.

        So its error may come from either.
        """

    def run(self, query: Statement | Query, **values: object) -> int:
        """Run a write, and answer how many rows it changed."""

    def insert(self, statement: Statement, **values: object) -> int:
        """Insert a row, and answer its id."""
