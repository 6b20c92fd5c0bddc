"""Registries by the settings of who serves them: a folder, or Postgres and S3 too."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import grpc
from tests.parts.s3 import ENVIRONMENT
from tests.running import run_server
from tests.services.wire import Registry

from modelkeep_server import offline
from modelkeep_server.settings import load
from modelkeep_server.values.place import Place

Settings: TypeAlias = dict[str, str]


def place_of(settings: Settings) -> Place:
    """Tell where a registry is."""
    given = load(settings, ENVIRONMENT)
    return Place(given.data, given.database, given.blobs, given.s3_keys)


def flags_of(settings: Settings) -> list[str]:
    """Give what a server is told on its command line."""
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


@contextmanager
def registry_at(settings: Settings) -> Iterator[Registry]:
    """Run a normal server, in which nothing may fail."""
    others = {name: value for name, value in settings.items() if name != "data"}
    with (
        run_server(Path(settings["data"]), **others) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield Registry(channel, "default")
        assert server.figure("modelkeep_internal_errors_total") == 0


def check_sound_at(settings: Settings) -> None:
    """Verify a registry that nobody serves, its bytes included."""
    check_sound(offline.check(place_of(settings), True, Counter()))


def check_sound(findings: Iterator[offline.Finding]) -> None:
    """Hold that nothing is damaged; what nothing refers to may be there."""
    assert [one for one in findings if isinstance(one, offline.Damage)] == []
