"""How a server hears of what others on its database have committed."""

from contextlib import closing

import psycopg
import pytest
from tests.parts.postgres import Postgres, new_database
from tests.waiting import until

from modelkeep_server.records.follower import Follower
from modelkeep_server.records.postgres import PostgresDatabase


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return new_database(postgres_server.url())


def test_who_can_not_read_the_log_any_more_says_so(url: str) -> None:
    failures: list[str] = []

    with (
        closing(PostgresDatabase(url)) as database,
        closing(Follower(database, lambda _: None, failures.append)),
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(
            "INSERT INTO event (position, event_id, log_us, leaf, leaf_hash)"
            r" VALUES (1, 'x', 1, '\\xff', '\\x00')"
        )
        until(lambda: failures)

    assert failures[0].startswith("the log can't be followed: ")
