"""The writer's thread: commits many at once, and each is for itself."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.records.batch import Batch

from modelkeep.errors import (
    Error,
    ResourceExhaustedError,
    UnavailableError,
)
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.sqlite import SqliteDatabaseFile, SqliteSession
from modelkeep_server.records.tables import Setting
from modelkeep_server.values.start import StartError

_ADD = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))
_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_ALL = Statement(lambda: Setting.select(Setting.key).order_by(Setting.key))


def _create(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(
            'CREATE TABLE "setting" ("key" TEXT NOT NULL PRIMARY KEY, "value" BLOB NOT NULL)'
        )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabaseFile]:
    _create(tmp_path / "db")
    with closing(SqliteDatabaseFile(tmp_path / "db", pytest.fail)) as database:
        yield database


def _add(key: str, size: int = 1) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.run(_ADD, key=key, value=bytes(size))
        return key

    return work


def _keys(database: SqliteDatabaseFile) -> list[str]:
    return [key for (key,) in database.read().rows(_ALL)]


def test_readers_write_nothing(database: SqliteDatabaseFile) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        database.read().run(_ADD, key="a", value=b"")


def _connection(session: Session) -> apsw.Connection:
    assert isinstance(session, SqliteSession)
    return session.connection


def _limit_pages(database: SqliteDatabaseFile, more: int) -> None:
    """Let the file grow by so many pages: what a full disk looks like, without one."""

    def work(session: Session) -> None:
        connection = _connection(session)
        pages: Any = connection.execute("PRAGMA page_count").fetchall()[0][0]
        connection.execute(f"PRAGMA max_page_count = {pages + more}").fetchall()

    database.write(work)


def test_no_room_refuses_the_large_and_not_its_neighbours(database: SqliteDatabaseFile) -> None:
    database.write(_add("before"))
    _limit_pages(database, 8)

    with Batch(database):
        small = [database.submit(_add(f"a{n}")) for n in range(3)]
        large = database.submit(_add("large", 4096 * 50))
        more = [database.submit(_add(f"b{n}")) for n in range(3)]

    with pytest.raises(ResourceExhaustedError) as full:
        large.result()
    assert full.value.reason == "STORAGE_FULL"
    assert full.value.retry_after_seconds
    assert [future.result() for future in small + more] == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert _keys(database) == ["a0", "a1", "a2", "b0", "b1", "b2", "before"]


def test_a_database_that_was_full_works_again(database: SqliteDatabaseFile) -> None:
    _limit_pages(database, 2)
    with pytest.raises(ResourceExhaustedError):
        database.write(_add("large", 4096 * 50))
    _limit_pages(database, 1000)

    assert database.write(_add("large", 4096 * 50)) == "large"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if made.returncode:
        pytest.skip("only root can mount a disk of 1 MiB")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(tiny_disk: Path) -> None:
    _create(tiny_disk / "db")
    with closing(SqliteDatabaseFile(tiny_disk / "db", pytest.fail)) as database:
        database.write(_add("before"))
        filler = tiny_disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

        futures = [database.submit(_add(f"key-{n:03}", 3000)) for n in range(200)]
        ends = [future.exception() for future in futures]
        acknowledged = [f"key-{n:03}" for n, end in enumerate(ends) if end is None]
        assert {end.reason for end in ends if isinstance(end, Error)} == {"STORAGE_FULL"}
        assert len(acknowledged) < 200
        assert _keys(database) == ["before", *acknowledged]

        filler.unlink()
        assert database.write(_add("after")) == "after"

    with closing(SqliteDatabaseFile(tiny_disk / "db", pytest.fail)) as database:
        assert _keys(database) == ["after", "before", *acknowledged]


def test_a_database_that_failed_stops_and_says_so_once(tmp_path: Path) -> None:
    _create(tmp_path / "db")
    told: list[str] = []
    database = SqliteDatabaseFile(tmp_path / "db", told.append)

    def fail(_: Session) -> None:
        raise apsw.IOError("disk I/O error")

    with Batch(database):
        works: list[Callable[[Session], object]] = [_add("a"), fail, _add("b")]
        futures = [database.submit(work) for work in works]

    for future in futures:
        with pytest.raises(UnavailableError) as failed:
            future.result()
        assert failed.value.reason == "STORAGE_FAILED"
    with pytest.raises(UnavailableError):
        database.write(_add("c"))
    assert len(told) == 1
    assert _keys(database) == []
    database.close()


def test_nobody_waits_for_a_writer_that_met_the_unforeseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _create(tmp_path / "db")
    told: list[str] = []
    database = SqliteDatabaseFile(tmp_path / "db", told.append)

    def fail(*_: object) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(database, "_attempt", fail)

    for key in ("a", "b"):
        with pytest.raises(UnavailableError) as failed:
            database.submit(_add(key)).result(timeout=10)
        assert failed.value.reason == "STORAGE_FAILED"
    assert len(told) == 1
    database.close()


def test_closing_finishes_what_is_queued(tmp_path: Path) -> None:
    _create(tmp_path / "db")
    database = SqliteDatabaseFile(tmp_path / "db", pytest.fail)
    futures = [database.submit(_add(f"{n:03}")) for n in range(200)]
    database.close()

    assert [future.result() for future in futures] == [f"{n:03}" for n in range(200)]
    with pytest.raises(UnavailableError) as stopping:
        database.write(_add("late"))
    assert stopping.value.reason == "SERVER_STOPPING"
    database.close()


def test_every_commit_is_synced(database: SqliteDatabaseFile) -> None:
    def settings(session: Session) -> list[object]:
        return [
            _connection(session).execute(f"PRAGMA {name}").fetchall()[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert database.write(settings) == ["wal", 2, 1]


def test_a_sqlite_that_can_lose_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.50.4")

    with pytest.raises(StartError, match=r"3\.50\.4 .* needs 3\.51\.3"):
        SqliteDatabaseFile(tmp_path / "db", pytest.fail)


def test_the_writer_is_one_thread(database: SqliteDatabaseFile) -> None:
    names = {database.write(lambda _: threading.current_thread().name) for _ in range(5)}

    assert names == {"sqlite-writer"}
