"""A server that checks itself finds what is found when it is stopped."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import grpc
import pytest
from tests.checking import checked, found
from tests.running import RunningServer, run_server
from tests.services.wire import Registry

from modelkeep_server import offline
from modelkeep_server.domain.verify import is_settled
from modelkeep_server.values.findings import Damage
from modelkeep_server.values.place import Place

TABLES = (
    "namespace",
    "asset",
    "version",
    "recipe",
    "input",
    "alias",
    "manifest",
    "manifest_file",
    "blob",
    "event",
    "event_body",
    "event_scope",
    "alias_move",
    "stage_move",
    "asset_move",
)


@pytest.fixture
def server(data: Path) -> Iterator[RunningServer]:
    with run_server(data) as running:
        yield running


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
    return value + "x" if isinstance(value, str) else (value or 0) + 1


@pytest.mark.parametrize("table", TABLES)
def test_whatever_value_is_changed(server: RunningServer, table: str, tmp_path: Path) -> None:
    with (
        closing(apsw.Connection(str(server.data / "modelkeep.db"))) as rows,
        grpc.insecure_channel(server.address) as channel,
    ):
        rows.set_busy_timeout(10_000)
        r = Registry(channel, "default")
        columns = [name for _, name, *_ in rows.execute(f"PRAGMA table_info({table})")]
        first = next(rows.execute(f"SELECT {', '.join(columns)} FROM {table}"))
        for column in columns:
            changed = tuple(
                _other(v) if name == column else v for name, v in zip(columns, first, strict=True)
            )
            if not _replace(rows, table, columns, first, changed):
                continue
            copy = Path(shutil.copytree(server.data, tmp_path / column))

            answer = checked(r)

            damage = [x for x in offline.check(Place(copy), True, Counter()) if is_settled(x)]
            told = {(x.what, x.resource, x.text) for x in damage if isinstance(x, Damage)}
            assert (answer.finding_count, set(found(answer))) == (len(damage), told), column
            _replace(rows, table, columns, changed, first)
            shutil.rmtree(copy)
        assert checked(r).finding_count == 0


def _replace(
    rows: apsw.Connection, table: str, columns: list[str], row: tuple[Any, ...], by: tuple[Any, ...]
) -> bool:
    """Put a row in another's place, if the database has it."""
    sets = ", ".join(f"{name} = ?" for name in columns)
    where = " AND ".join(f"{name} IS ?" for name in columns)
    try:
        rows.execute(f"UPDATE {table} SET {sets} WHERE {where}", (*by, *row))
    except apsw.ConstraintError:
        return False
    assert rows.changes() == 1
    return True
