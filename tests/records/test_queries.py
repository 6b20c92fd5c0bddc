"""What a query costs that runs often."""

from pathlib import Path

import apsw
import pytest

from modelkeep.names import AssetName
from modelkeep_server.records import versions
from modelkeep_server.records.opening import open_records
from modelkeep_server.records.sqlite import SqliteSession


def test_a_query_is_compiled_once_whatever_it_asks_for(tmp_path: Path) -> None:
    compiled: list[int] = []

    def note(action: int, *_: str | None) -> int:
        compiled.append(action)
        return apsw.SQLITE_OK

    with open_records(None, tmp_path / "data", pytest.fail) as records:
        session = records.read()
        assert isinstance(session, SqliteSession)
        session.connection.authorizer = note

        versions.by_alias(session, AssetName("n", "a"), "champion")
        assert compiled
        compiled.clear()
        versions.by_alias(session, AssetName("n", "b"), "production")

    assert not compiled
