"""Short reads on Postgres: together in one round trip, and each for itself."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
import pytest
from peewee import fn
from tests.client.proxy import Proxy
from tests.parts.postgres import Postgres, cut, new_database, through

from modelkeep.errors import NotFoundError, UnavailableError
from modelkeep_server.records import postgres_short
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.sql import Statement, bind
from modelkeep_server.records.tables import Asset, Setting
from modelkeep_server.values.hints import NotShortError

_ADD = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))
_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_KEYS = Statement(lambda: Setting.select(Setting.key).order_by(Setting.key))
_WRONG = Statement(lambda: Setting.select(1 / fn.length(Setting.value)))
T = TypeVar("T")


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return new_database(postgres_server.url())


@pytest.fixture
def database(url: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(url)) as database:
        for key in "abc":
            _add(database, key)
        yield database


def _add(database: PostgresDatabase, key: str) -> None:
    database.write(lambda session: session.run(_ADD, key=key, value=key.encode()))


def _get(database: PostgresDatabase, key: str) -> Callable[[], bytes | None]:
    def work() -> bytes | None:
        row = database.read().row(_GET, key=key)
        return row[0] if row else None

    return work


def _wrong(database: PostgresDatabase) -> object:
    return database.read().row(_WRONG)


@contextmanager
def _holding(database: PostgresDatabase) -> Iterator[None]:
    """Let what is asked for in the block run together, after it."""
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(60)

    holding = database.read_together(hold)
    assert held.wait(60)
    try:
        yield
    finally:
        go_on.set()
        holding.result()


def _together(database: PostgresDatabase, *works: Callable[[], Any]) -> list[Future[Any]]:
    with _holding(database):
        return [database.read_together(work) for work in works]


def test_those_that_wait_go_out_at_once(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    pipeline = psycopg.Connection.pipeline

    def counted(connection: Any) -> Any:
        sent.append(1)
        return pipeline(connection)

    monkeypatch.setattr(psycopg.Connection, "pipeline", counted)
    read = _together(database, *(_get(database, "abcd"[n % 4]) for n in range(40)))

    assert [each.result() for each in read] == [b"a", b"b", b"c", None] * 10
    assert len(sent) == 1


def test_a_read_may_ask_for_what_it_found(database: PostgresDatabase) -> None:
    def chain() -> list[bytes | None]:
        keys = [key for (key,) in database.read().rows(_KEYS) if len(key) == 1]
        return [_get(database, key)() for key in keys]

    both = _together(database, chain, _get(database, "b"), chain)

    assert [each.result() for each in both] == [[b"a", b"b", b"c"], b"b", [b"a", b"b", b"c"]]


def test_it_sees_what_was_committed_before_it_was_asked_for(
    database: PostgresDatabase, url: str
) -> None:
    with closing(PostgresDatabase(url)) as other:
        for n in range(50):
            _add(other, f"n{n}")
            assert database.read_together(_get(database, f"n{n}")).result() == f"n{n}".encode()


def test_one_that_fails_fails_alone(database: PostgresDatabase) -> None:
    database.write(lambda session: session.run(_ADD, key="empty", value=b""))

    def refuse() -> None:
        raise NotFoundError("RESOURCE_NOT_FOUND", "no")

    def survive() -> bytes | None:
        with pytest.raises(psycopg.errors.DivisionByZero):
            database.read().row(_WRONG)
        return _get(database, "c")()

    good, wrong, refused, survived = _together(
        database,
        _get(database, "a"),
        lambda: database.read().row(_WRONG),
        refuse,
        survive,
    )

    assert (good.result(), survived.result()) == (b"a", b"c")
    with pytest.raises(psycopg.errors.DivisionByZero):
        wrong.result()
    with pytest.raises(NotFoundError):
        refused.result()


def test_one_that_fails_leaves_what_its_neighbours_were_about_to_prepare(
    database: PostgresDatabase,
) -> None:
    database.write(lambda session: session.run(_ADD, key="empty", value=b""))
    for before in range(8):  # psycopg prepares a statement when it is run for the sixth time
        with closing(PostgresDatabase(database._url)) as other:
            for _ in range(before):
                assert other.read_together(_get(other, "a")).result() == b"a"
            wrong, good = _together(other, partial(_wrong, other), _get(other, "a"))
            with pytest.raises(psycopg.errors.DivisionByZero):
                wrong.result()
            assert good.result() == b"a"
            assert other.read_together(_get(other, "a")).result() == b"a"


def test_one_that_waits_for_a_lock_fails_alone(url: str) -> None:
    with closing(PostgresDatabase(url)) as database, psycopg.connect(url) as other:
        _add(database, "a")
        other.execute('LOCK TABLE "asset" IN ACCESS EXCLUSIVE MODE')
        locked, good = _together(
            database,
            lambda: database.read().row(Asset.select(Asset.id).limit(1)),
            _get(database, "a"),
        )

        assert good.result() == b"a"
        with pytest.raises(UnavailableError) as refused:
            locked.result()
    assert refused.value.reason == "STORAGE_BUSY"


def test_many_that_wait_for_a_lock_are_told_soon(url: str) -> None:
    with closing(PostgresDatabase(url)) as database, psycopg.connect(url) as other:
        other.execute('LOCK TABLE "asset" IN ACCESS EXCLUSIVE MODE')
        start = time.monotonic()
        many = _together(
            database, *[lambda: database.read().row(Asset.select(Asset.id).limit(1))] * 30
        )

        for each in many:
            with pytest.raises(UnavailableError) as refused:
                each.result()
            assert refused.value.reason == "STORAGE_BUSY"
    assert time.monotonic() - start < 15


def test_whatever_fails_the_next_one_is_answered(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, good = _together(database, _get(database, "\ud800"), _get(database, "a"))
    with pytest.raises(UnicodeEncodeError):
        wrong.result(timeout=60)
    assert good.result(timeout=60) == b"a"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    cut(database._url)
    with monkeypatch.context() as patch:
        patch.setattr(postgres_short, "connect", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            database.read_together(_get(database, "a")).result(timeout=60)
    assert database.read_together(_get(database, "a")).result(timeout=60) == b"a"


def test_one_that_takes_too_long_fails_alone(url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        _add(database, "a")
        slow, good = _together(
            database,
            lambda: database.read().row(Setting.select(fn.pg_sleep(4)).limit(1)),
            _get(database, "a"),
        )

        assert good.result() == b"a"
        with pytest.raises(UnavailableError) as refused:
            slow.result()
    assert refused.value.reason == "STORAGE_BUSY"


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.one_state().__enter__(),
        lambda session: session.run(_ADD, key="d", value=b""),
        lambda session: session.put(_ADD, key="d", value=b""),
        lambda session: session.insert(_ADD, key="d", value=b""),
        lambda session: session.many(_ADD, [{"key": "d", "value": b""}]),
    ],
)
def test_what_is_not_short_is_told_so(
    database: PostgresDatabase, act: Callable[[Any], object]
) -> None:
    not_short, short = _together(database, lambda: act(database.read()), _get(database, "a"))

    with pytest.raises(NotShortError):
        not_short.result()
    assert short.result() == b"a"
    assert _get(database, "d")() is None


def test_one_that_nobody_waits_for_any_more_is_not_run(database: PostgresDatabase) -> None:
    ran: list[int] = []
    with _holding(database):
        left = database.read_together(lambda: ran.append(1))
        assert left.cancel()
        kept = database.read_together(_get(database, "a"))

    assert kept.result() == b"a"
    assert ran == []


def test_a_connection_that_is_cut_is_replaced(database: PostgresDatabase, url: str) -> None:
    for _ in range(3):
        cut(url)
        read = _together(database, _get(database, "a"), _get(database, "b"))
        assert [each.result() for each in read] == [b"a", b"b"]


def test_a_database_that_does_not_answer_ends_them_all(url: str, postgres_server: Postgres) -> None:
    with (
        Proxy(f"127.0.0.1:{postgres_server.port}") as proxy,
        closing(PostgresDatabase(through(url, proxy.address), silence_seconds=2)) as database,
    ):
        _add(database, "a")
        assert database.read_together(_get(database, "a")).result() == b"a"
        proxy.withhold_answers()
        for each in _together(database, _get(database, "a"), _get(database, "b")):
            with pytest.raises(UnavailableError) as refused:
                each.result(timeout=60)
            assert refused.value.reason == "STORAGE_UNAVAILABLE"
        proxy.cut()
        assert database.read_together(_get(database, "a")).result() == b"a"


def test_after_the_end_nothing_is_read(url: str) -> None:
    database = PostgresDatabase(url)
    database.close()

    with pytest.raises(UnavailableError) as refused:
        database.read_together(_get(database, "a")).result()

    assert refused.value.reason == "SERVER_STOPPING"
