"""What every kind of database promises: many are committed at once, and each is for itself."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.records.batch import Batch

from modelkeep.errors import FailedPreconditionError, UnavailableError
from modelkeep_server.records.folder import DataFolder
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.sqlite import SqliteDatabaseFile
from modelkeep_server.records.tables import Scope, Setting

Opened: TypeAlias = SqliteDatabaseFile | PostgresDatabase
_ADD = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))
_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_ALL = Statement(lambda: Setting.select(Setting.key).order_by(Setting.key))


@contextmanager
def _open(url: str | None, data: Path) -> Iterator[Opened]:
    if url is not None:
        with closing(PostgresDatabase(url)) as shared:
            yield shared
        return
    with (
        closing(DataFolder(data)) as folder,
        closing(SqliteDatabaseFile(folder.database, pytest.fail)) as alone,
    ):
        yield alone


@pytest.fixture
def opened(database: str | None, tmp_path: Path) -> Iterator[Opened]:
    with _open(database, tmp_path / "data") as made:
        yield made


def _add(key: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.run(_ADD, key=key, value=b"")
        return key

    return work


def _keys(opened: Opened) -> list[str]:
    return [key for (key,) in opened.read().rows(_ALL)]


def test_what_was_answered_is_committed(opened: Opened) -> None:
    assert opened.write(_add("a")) == "a"
    assert _keys(opened) == ["a"]


def test_it_tells_how_many_writes_wait(opened: Opened) -> None:
    with Batch(opened):
        futures = [opened.submit(_add(key)) for key in "abc"]
        assert opened.writes_waiting == 3

    assert [future.result() for future in futures] == ["a", "b", "c"]
    assert opened.writes_waiting == 0


def test_a_job_that_fails_takes_nothing_with_it(opened: Opened) -> None:
    def refuse(session: Session) -> None:
        session.run(_ADD, key="refused", value=b"")
        raise FailedPreconditionError("VERSION_HELD", "no")

    def break_it(session: Session) -> None:
        session.run(_ADD, key="broken", value=b"")
        raise RuntimeError("a bug")

    with Batch(opened):
        futures: list[Future[object]] = [
            opened.submit(work)
            for work in (_add("a"), refuse, _add("b"), break_it, _add("a"), _add("c"))
        ]

    assert [futures[n].result() for n in (0, 2, 5)] == ["a", "b", "c"]
    for index, kind in ((1, FailedPreconditionError), (3, RuntimeError), (4, Exception)):
        with pytest.raises(kind):
            futures[index].result()
    assert _keys(opened) == ["a", "b", "c"]


def test_a_batch_is_one_commit(opened: Opened) -> None:
    reader = opened.read()
    seen: list[int] = []
    with Batch(opened):
        futures = [opened.submit(_add(f"{n:03}")) for n in range(40)]
        for future in futures:
            future.add_done_callback(lambda _: seen.append(len(reader.rows(_ALL))))
    opened.write(lambda _: None)

    # Whoever is answered finds the whole batch.
    assert seen == [40] * 40


def test_a_refusal_is_answered_only_after_what_it_saw_is_committed(
    opened: Opened,
) -> None:
    def refuse_if_there(session: Session) -> None:
        if session.row(_GET, key="a"):
            raise FailedPreconditionError("VERSION_HELD", "a is there")

    found: list[list[str]] = []
    with Batch(opened):
        opened.submit(_add("a"))
        refused = opened.submit(refuse_if_there)
        refused.add_done_callback(lambda _: found.append(_keys(opened)))
        for number in range(20):
            opened.submit(_add(f"b{number:02}"))

    with pytest.raises(FailedPreconditionError):
        refused.result()
    opened.write(lambda _: None)
    assert found[0][0] == "a"


def test_a_reader_sees_nothing_of_what_is_not_committed(opened: Opened) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def work(session: Session) -> None:
        session.run(_ADD, key="a", value=b"")
        inside.set()
        go_on.wait(10)

    future = opened.submit(work)
    assert inside.wait(10)
    assert _keys(opened) == []
    go_on.set()
    future.result()
    assert _keys(opened) == ["a"]


def test_many_threads_write_and_read(opened: Opened) -> None:
    def work(start: int) -> None:
        for number in range(start, start + 50):
            opened.write(_add(f"{number:04}"))
            assert opened.read().row(_GET, key=f"{number:04}")

    threads = [threading.Thread(target=work, args=[n * 50]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(_keys(opened)) == 400


def test_a_block_sees_one_state(opened: Opened) -> None:
    opened.write(_add("a"))
    session = opened.read()

    with session.one_state():
        before = session.rows(_ALL)
        opened.write(_add("b"))
        assert session.rows(_ALL) == list(session.each(_ALL)) == before

    assert _keys(opened) == ["a", "b"]


def test_texts_are_compared_by_their_bytes(opened: Opened) -> None:
    keys = ["a", "B", "a/b", "a-b", "a0", "ä", "a.b", "_", "Z", "é"]
    for key in keys:
        opened.write(_add(key))

    assert _keys(opened) == sorted(keys, key=str.encode)


def test_an_inserted_row_tells_its_id(opened: Opened) -> None:
    add = Statement(lambda: Scope.insert(name=bind("name")))

    def insert(name: str) -> int:
        return opened.write(lambda session: session.insert(add, name=name))

    ids = [insert("a"), insert("b")]

    query = Statement(lambda: Scope.select(Scope.id).order_by(Scope.name))
    assert [row[0] for row in opened.read().rows(query)] == ids


def test_a_database_that_is_closed_takes_nothing(opened: Opened) -> None:
    opened.close()

    with pytest.raises(UnavailableError) as refused:
        opened.write(_add("a"))
    assert refused.value.reason == "SERVER_STOPPING"
