"""A server over Postgres and S3 that is killed at each step of each act: what was acknowledged is
there for the next server, the rest is whole or absent, and the act tried again has happened once.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.collecting import age
from tests.faults.acts import ACTS, IN_PIECES, prepare, prepare_garbage
from tests.faults.crashes import Crashes, Ground, Point, ends, kind_of
from tests.faults.crashing_production import GONE_WITHOUT_COMMIT, HAVE_A_MIDDLE, PIECE, serve
from tests.faults.registries import Settings, place_of, registry_at
from tests.faults.state import state
from tests.parts.postgres import Postgres, drop_database, new_database
from tests.parts.s3 import bucket_at
from tests.rounds import LONG, Tally

from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.values.s3_place import S3Place

SHORT = {"upload a large blob", "upload a pack", "seal", "create a version", "move production"}
"""The acts that `make test` tries; the others are tried with those of the faults that take long."""


@pytest.fixture(scope="module", autouse=True)
def pieces() -> Iterator[None]:
    """All servers that go on with an upload agree on the size of its pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelkeep_server.blobs.s3.S3Store._piece_size", lambda *_: PIECE)
        yield


@pytest.fixture(scope="module")
def prepared(
    pieces: None,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Postgres,
    seaweed_blobs: Callable[[], str],
) -> Settings:
    """The settings of a stopped registry in a database and a bucket."""
    settings = {
        "data": str(tmp_path_factory.mktemp("crash-production") / "data"),
        "database": new_database(postgres_server.url()),
        "blobs": seaweed_blobs(),
    }
    with registry_at(settings) as registry:
        prepare_garbage(registry)
    age(place_of(settings))
    with registry_at(settings) as registry:
        prepare(registry, IN_PIECES)
    return settings


@pytest.fixture(scope="module")
def ground(
    prepared: Settings, postgres_server: Postgres, seaweed_blobs: Callable[[], str]
) -> Ground:
    """That registry, to be copied."""

    @contextmanager
    def copied() -> Iterator[Settings]:
        url = new_database(postgres_server.url(), template=prepared["database"])
        blobs = seaweed_blobs()
        _copy(prepared["blobs"], blobs)
        yield prepared | {"database": url, "blobs": blobs}
        drop_database(url)

    with copied() as settings, registry_at(settings) as registry:
        return Ground(copied, serve, state(registry), IN_PIECES)


def _copy(source: str, target: str) -> None:
    """Copy what a store has, and the upload that is under way there."""
    bucket = bucket_at(source)
    there, here = S3Place.parse(source), S3Place.parse(target)

    def renamed(name: str) -> str:
        return here.prefix + name.removeprefix(there.prefix)

    def copy(name: str) -> None:
        response = bucket.open(name, 0, 2**40)
        bucket.put(renamed(name), response.read() if response else b"")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(copy, [found.name for found in bucket.objects(there.prefix)]))
    for upload in bucket.under_way(there.prefix):
        _send_again(bucket, renamed(upload.name), len(bucket.pieces(upload.name, upload.id)))


def _send_again(bucket: S3Bucket, name: str, count: int) -> None:
    upload = bucket.begin(name)
    for number in range(count):
        data = IN_PIECES.resumed[number * PIECE : (number + 1) * PIECE]
        bucket.send(name, upload, number + 1, data)


def _points(names: Sequence[str]) -> list[Point]:
    """Choose steps, and at which side of each to die: all in the long round."""
    sides = {name: ("during",) if kind_of(name) in HAVE_A_MIDDLE else () for name in names}
    if LONG:
        return [(name, side) for name in names for side in ("before", *sides[name], "after")]
    # Of what is not committed nothing lasts, so one step of a transaction says it all.
    chosen = ends([name for name in names if kind_of(name) not in GONE_WITHOUT_COMMIT])
    last = chosen[-1]
    return [(name, side) for name in chosen for side in ("before", *sides[name])] + [
        (last, "after")
    ]


@pytest.mark.rounds("crash-production")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=() if what in SHORT else pytest.mark.faults) for what in ACTS],
)
def test_a_kill_at_any_step_leaves_an_act_whole_or_absent(
    ground: Ground, tmp_path: Path, tally: Tally, what: str
) -> None:
    Crashes(ground, tmp_path, tally).each(what, _points)
