"""Postgres: several servers on one database, and connections that are lost at any moment."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from peewee import fn
from tests.client.proxy import Proxy
from tests.parts.postgres import Postgres, cut, new_database, postgres, through
from tests.waiting import until

from modelkeep.errors import UnavailableError
from modelkeep_server.records import postgres_connections, postgres_schema, schema
from modelkeep_server.records.postgres import PostgresDatabase
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Manifest, Setting
from modelkeep_server.values.start import StartError

_ADD = Statement(lambda: Setting.insert(key=bind("key"), value=bind("value")))
_PUT = Statement(lambda: Setting.update(value=bind("value")).where(Setting.key == bind("key")))
_GET = Statement(lambda: Setting.select(Setting.value).where(Setting.key == bind("key")))
_ALL = Statement(lambda: Setting.select(Setting.key).order_by(Setting.key))


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return new_database(postgres_server.url())


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[Proxy]:
    with Proxy(f"127.0.0.1:{postgres_server.port}") as proxy:
        yield proxy


@pytest.fixture
def behind(url: str, proxy: Proxy) -> Iterator[PostgresDatabase]:
    """A database whose server is reached through a proxy, and given up on after two seconds."""
    with closing(PostgresDatabase(through(url, proxy.address), silence_seconds=2)) as database:
        yield database


def _add(key: str, then: Callable[[], None] = lambda: None) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.run(_ADD, key=key, value=b"")
        then()
        return key

    return work


def _keys(database: PostgresDatabase) -> list[str]:
    return [key for (key,) in database.read().rows(_ALL)]


def test_writes_of_several_servers_go_one_after_another(url: str) -> None:
    def count(session: Session) -> None:
        row = session.row(_GET, key="n")
        assert row is not None
        session.run(_PUT, key="n", value=str(int(row[0]) + 1).encode())

    with ExitStack() as parts:
        servers = [parts.enter_context(closing(PostgresDatabase(url))) for _ in range(3)]
        servers[0].write(lambda session: session.run(_ADD, key="n", value=b"0"))
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda n: servers[n % 3].write(count), range(300)))

        row = servers[0].read().row(_GET, key="n")
    assert row == (b"300",)


def test_servers_that_start_together_make_one_schema(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for database in pool.map(lambda _: PostgresDatabase(url), range(4)):
            database.close()

    with psycopg.connect(url) as connection:
        made = connection.execute("SELECT count(*) FROM schema_migration").fetchone()
    assert made == (len(list(schema.MIGRATIONS.glob("0*.py"))),)


@pytest.fixture
def behind_by_one(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of the version of modelkeep before its last migration."""
    *before, _ = sorted(schema.MIGRATIONS.glob("0*.py"))
    for migration in before:
        shutil.copy(migration, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", tmp_path)
        PostgresDatabase(url).close()
    return url


@contextmanager
def _reading_for_long(url: str) -> Iterator[None]:
    """Read all tables in one transaction, as a backup and a check of a registry do."""
    with psycopg.connect(url) as reader:
        for (table,) in reader.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall():
            reader.execute(f'SELECT count(*) FROM "{table}"'.encode())
        yield


def test_a_new_schema_waits_for_who_reads_the_old_and_nobody_waits_for_it(
    behind_by_one: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = behind_by_one
    monkeypatch.setattr(postgres_schema, "_PAUSE_SECONDS", 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "_migrate", lambda _: None)
        serving = PostgresDatabase(url)  # a replica of the version before
    slowest = 0.0
    with closing(serving), ThreadPoolExecutor(2) as new:
        with _reading_for_long(url):
            starting = [new.submit(PostgresDatabase, url) for _ in range(2)]
            until(lambda: "is being read" in caplog.text)
            for n in range(20):
                begun = time.monotonic()
                serving.write(_add(f"key {n}"))
                assert serving.read().rows(Manifest.select(Manifest.id)) == []
                slowest = max(slowest, time.monotonic() - begun)
                time.sleep(0.2)
            assert not any(started.done() for started in starting)
        for started in starting:
            started.result().close()

    assert slowest < 5
    with psycopg.connect(url) as connection:
        made = connection.execute("SELECT count(*) FROM schema_migration").fetchone()
    assert made == (len(list(schema.MIGRATIONS.glob("0*.py"))),)


def test_a_server_does_not_wait_for_readers_for_ever(
    behind_by_one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_schema, "_READERS_SECONDS", 0.0)

    with (
        _reading_for_long(behind_by_one),
        pytest.raises(StartError, match="is being read, as by modelkeep admin backup or verify"),
    ):
        PostgresDatabase(behind_by_one)


def test_a_server_does_not_wait_for_another_servers_migration_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_schema, "_OTHERS_SECONDS", 1)

    with psycopg.connect(url, autocommit=True) as other:
        other.execute(f"SELECT pg_advisory_lock({postgres_schema._TURN})".encode())

        with pytest.raises(StartError, match="another server has not yet brought the database"):
            PostgresDatabase(url)


def test_a_database_of_a_newer_modelkeep_is_refused(url: str) -> None:
    PostgresDatabase(url).close()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO schema_migration (name, applied) VALUES ('0099_x', now())")

    with pytest.raises(StartError, match=r"written by a newer modelkeep \(it has 0099_x\)"):
        PostgresDatabase(url)


def test_a_database_that_would_lose_what_was_acknowledged_is_refused(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())

    with pytest.raises(StartError, match="has synchronous_commit = off"):
        PostgresDatabase(url)


def test_a_database_that_can_not_hold_all_names_is_refused(
    postgres_server: Postgres, url: str
) -> None:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        name = f"ascii_{time.monotonic_ns()}"
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0".encode()
        )

    with pytest.raises(StartError, match="has server_encoding = SQL_ASCII"):
        PostgresDatabase(postgres_server.url(name))


def test_a_password_is_not_shown() -> None:
    with pytest.raises(StartError) as refused:
        PostgresDatabase("postgresql://someone:hunter2@127.0.0.1:1/registry")

    assert "127.0.0.1:1/registry" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("password", ["hid/den", "hid@den", "hidden%zz"])
def test_a_url_that_can_be_read_in_two_ways_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(StartError, match="the database's URL is wrong; it must be") as refused:
        PostgresDatabase(f"postgresql://someone:{password}@127.0.0.1:1/registry")

    assert "den" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_all_texts_are_compared_by_their_bytes(url: str) -> None:
    PostgresDatabase(url).close()
    with psycopg.connect(url) as connection:
        others = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'text' AND collation_name <> 'C'"
            " OR data_type = 'text' AND collation_name IS NULL AND table_schema = 'public'"
        ).fetchall()

    assert others == []


def test_a_write_whose_connection_is_cut_is_made_once(behind: PostgresDatabase, url: str) -> None:
    cuts = iter([lambda: cut(url)])

    def once() -> None:
        next(cuts, lambda: None)()

    assert behind.write(_add("a", once)) == "a"
    assert _keys(behind) == ["a"]


def test_a_write_whose_commit_does_not_arrive_is_made_once(
    behind: PostgresDatabase, proxy: Proxy
) -> None:
    cuts = iter([proxy.cut])

    def once() -> None:
        next(cuts, lambda: None)()

    assert behind.write(_add("a", once)) == "a"
    assert _keys(behind) == ["a"]


def test_a_write_whose_commit_is_not_answered_is_made_once(
    behind: PostgresDatabase, proxy: Proxy, url: str
) -> None:
    tries: list[int] = []

    def once() -> None:
        tries.append(1)
        proxy.withhold_answers()

    written = behind.submit(_add("a", once))
    with closing(PostgresDatabase(url)) as other:
        until(lambda: _keys(other) == ["a"])
    assert not written.done()
    proxy.cut()

    assert written.result() == "a"
    assert len(tries) == 1


def test_a_write_that_a_crash_of_the_database_took_is_made_again() -> None:
    with ExitStack() as parts:
        server = parts.enter_context(postgres())
        url = new_database(server.url())
        ours, others = (parts.enter_context(closing(PostgresDatabase(url))) for _ in range(2))

        def crash() -> None:
            # Then the numbers of transactions that no log had are given anew.
            server.stop(signal.SIGQUIT)
            server.start()
            for key in "bcdef":
                others.write(_add(key))

        crashes = iter([crash])

        assert ours.write(_add("a", lambda: next(crashes, lambda: None)())) == "a"
        assert "".join(key for key in _keys(ours) if len(key) == 1) == "abcdef"


def test_a_write_that_takes_too_long_fails_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_connections._SETTINGS, "statement_timeout", "500ms")

    def slow(session: Session) -> None:
        session.rows(Setting.select(fn.pg_sleep(1)))

    with closing(PostgresDatabase(url)) as database:
        database.write(_add("a"))
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(60)

        first = database.submit(_add("b", hold))
        held.wait(60)
        # These are in one batch.
        late, quick = database.submit(slow), database.submit(_add("c"))
        go_on.set()

        assert (first.result(), quick.result()) == ("b", "c")
        with pytest.raises(UnavailableError) as refused:
            late.result()
        assert refused.value.reason == "STORAGE_BUSY"
        assert _keys(database) == ["a", "b", "c"]


def test_a_write_that_fails_with_the_commit_fails_alone(url: str) -> None:
    with closing(PostgresDatabase(url)) as database:
        database.write(_add("a"))
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(60)

        def twice(session: Session) -> None:
            session.put(_ADD, key="a", value=b"")

        first = database.submit(_add("b", hold))
        held.wait(60)
        quick, wrong = database.submit(_add("c")), database.submit(twice)
        go_on.set()

        assert (first.result(), quick.result()) == ("b", "c")
        with pytest.raises(psycopg.errors.UniqueViolation):
            wrong.result()
        with pytest.raises(psycopg.errors.UniqueViolation):
            database.write(twice)
        assert _keys(database) == ["a", "b", "c"]


def test_a_read_whose_connection_is_cut_is_answered(behind: PostgresDatabase, url: str) -> None:
    behind.write(_add("a"))
    assert _keys(behind) == ["a"]

    cut(url)

    assert _keys(behind) == ["a"]


def test_a_read_that_is_not_answered_ends(behind: PostgresDatabase, proxy: Proxy) -> None:
    behind.write(_add("a"))
    proxy.withhold_answers()

    start = time.monotonic()
    with pytest.raises(UnavailableError) as refused:
        _keys(behind)

    assert refused.value.reason == "STORAGE_UNAVAILABLE"
    assert time.monotonic() - start < 30
    proxy.cut()
    assert _keys(behind) == ["a"]


def test_one_that_is_stopped_in_the_middle_does_not_hold_up_the_others(url: str) -> None:
    inside, go_on = threading.Event(), threading.Event()
    tries: list[int] = []

    def stop_first() -> None:
        tries.append(1)
        if len(tries) == 1:
            inside.set()
            go_on.wait(60)

    with closing(PostgresDatabase(url)) as slow, closing(PostgresDatabase(url)) as other:
        stopped = slow.submit(_add("slow", stop_first))
        assert inside.wait(10)

        assert other.write(_add("quick")) == "quick"
        go_on.set()

        # What it had done was taken back, and is done again.
        assert stopped.result() == "slow"
        assert _keys(other) == ["quick", "slow"]
        assert len(tries) == 2
