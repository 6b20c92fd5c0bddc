"""One whose lease ran out, and one who went on: whatever either does when, what is published is
what was announced, and nothing of it goes.

Each has a store of its own, as two processes have, and one database.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest
from tests.parts.s3 import bucket_at
from tests.services.wire import digest, header
from tests.waiting import until

from modelkeep.errors import AbortedError, Error, InvalidArgumentError
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.blobs.s3_staged import S3StagedBlob
from modelkeep_server.domain import namespaces, upkeep
from modelkeep_server.domain.uploads import Upload
from modelkeep_server.records import blobs, staging
from modelkeep_server.records.opening import open_records
from modelkeep_server.records.records import Records
from modelkeep_server.values.call import SYSTEM
from modelkeep_server.values.s3_place import S3Place

MIB = 1024 * 1024
PIECE = 5 * MIB
PARENT = "namespaces/default"
DATA = b"".join(bytes([letter]) * PIECE for letter in b"abc") + b"d" * 1000
NAME = digest(DATA)

Step = Callable[[], Any]


class World:
    """A database and a bucket, and who uploads `DATA` to them."""

    def __init__(self, records: Records, url: str) -> None:
        self.records = records
        self.place = S3Place.parse(url)
        self.bucket = bucket_at(url)
        self._flusher = ThreadPoolExecutor(4)

    def store(self) -> S3Store:
        """A store as another process opens it."""
        return S3Store(self.place, bucket_at_place(self.place), PIECE)

    def upload(self, offset: int, store: S3Store | None = None) -> Upload:
        """Begin to upload, and go on to where the client begins."""
        begin = header(PARENT, NAME, len(DATA), offset).header
        upload = Upload(self.records, store or self.store(), self._flusher, SYSTEM, begin)
        list(upload.begin())
        return upload

    def free(self) -> None:
        """Let a silence pass that ends all leases."""
        self.records.bookkeep(staging.free_all)

    def durable(self) -> int:
        part = staging.find(self.records.read(), PARENT, SYSTEM.principal, NAME)
        return part.durable_size if part else 0

    def key(self) -> str:
        part = staging.find(self.records.read(), PARENT, SYSTEM.principal, NAME)
        assert part is not None
        return part.key

    def go_on(self) -> None:
        """Take the upload over where it is durable, and finish it."""
        self.free()
        durable = self.durable()
        send(self.upload(durable), durable, len(DATA))

    def begin_anew(self) -> None:
        """Take the upload over with nothing of it, and finish it."""
        self.free()
        send(self.upload(0), 0, len(DATA))

    def published(self) -> bytes | None:
        """Read what people get, checked as they get it."""
        blob = blobs.find_held(self.records.read(), PARENT, NAME)
        if blob is None:
            return None
        return b"".join(self.store().read(blob.key, 0, blob.size))

    def objects(self) -> list[str]:
        return [found.name for found in self.bucket.objects(self.place.prefix)]

    def under_way(self) -> list[str]:
        names = (upload.name for upload in self.bucket.under_way(""))
        return [name for name in names if name.startswith(self.place.prefix)]


def bucket_at_place(place: S3Place) -> S3Bucket:
    return bucket_at(f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}")


def send(upload: Upload, start: int, end: int, data: bytes = DATA) -> None:
    """Send a part of the data as a client does."""
    for at in range(start, end, MIB):
        list(upload.add(data[at : min(at + MIB, end)]))


@pytest.fixture
def world(tmp_path: Path, blobs: str) -> Iterator[World]:
    with open_records(None, tmp_path / "data", print) as records:
        namespaces.ensure_default(records, SYSTEM)
        yield World(records, blobs)


class Paused(S3Store):
    """A store that lets something else happen before or after it publishes."""

    def __init__(self, world: World, *, before: Step = lambda: 0, after: Step = lambda: 0) -> None:
        super().__init__(world.place, world.bucket, PIECE)
        self._before, self._after = before, after

    def stage(self, size: int, key: str | None = None) -> S3StagedBlob:
        part = super().stage(size, key)
        real = part.publish

        def publish() -> bool:
            self._before()
            done = real()
            self._after()
            return done

        part.publish = publish  # type: ignore[method-assign]
        return part


class Late(S3Bucket):
    """A bucket to which the next piece is late."""

    def __init__(self, world: World, meanwhile: Step) -> None:
        self.__dict__.update(bucket_at_place(world.place).__dict__)
        self._meanwhile = meanwhile

    def send(self, name: str, upload: str, number: int, data: bytes | mmap) -> Any:
        meanwhile, self._meanwhile = self._meanwhile, lambda: 0
        meanwhile()
        return super().send(name, upload, number, data)


def lost(act: Step) -> None:
    """Expect that one is told that another went on."""
    with pytest.raises(AbortedError) as refused:
        act()
    assert refused.value.reason == "UPLOAD_LEASE_LOST"


def test_an_upload_alone_leaves_one_object(world: World) -> None:
    send(world.upload(0), 0, len(DATA))

    assert world.published() == DATA
    assert (len(world.objects()), world.under_way()) == (1, [])


@pytest.mark.parametrize("sent", [DATA, b"?" * len(DATA)], ids=["right", "wrong"])
def test_who_goes_on_sending_after_another_took_over_changes_nothing(
    world: World, sent: bytes
) -> None:
    slow = world.upload(0)
    send(slow, 0, 12 * MIB)
    until(world.durable)
    world.free()
    durable = world.durable()
    owner = world.upload(durable)

    with pytest.raises((AbortedError, InvalidArgumentError)):
        send(slow, 12 * MIB, len(DATA), sent)
    slow.close()
    send(owner, durable, len(DATA))

    assert world.published() == DATA
    assert (len(world.objects()), world.under_way()) == (1, [])


def test_a_start_that_was_wrong_is_found_out_by_who_goes_on(world: World) -> None:
    wrong = world.upload(0)
    send(wrong, 0, 12 * MIB, b"?" * len(DATA))
    wrong.close()
    durable = world.durable()
    assert durable == 2 * PIECE

    owner = world.upload(durable)
    with pytest.raises(InvalidArgumentError) as refused:
        send(owner, durable, len(DATA))

    assert refused.value.reason == "DIGEST_MISMATCH"
    assert (world.published(), world.durable()) == (None, 0)
    assert (world.objects(), world.under_way()) == ([], [])
    world.begin_anew()
    assert world.published() == DATA


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["go_on", "begin_anew"])
def test_another_publishes_while_one_is_about_to(world: World, when: str, how: str) -> None:
    steps: dict[str, Any] = {when: getattr(world, how)}

    lost(lambda: send(world.upload(0, Paused(world, **steps)), 0, len(DATA)))

    assert world.published() == DATA
    assert (len(world.objects()), world.under_way()) == (1, [])


@pytest.mark.parametrize("how", ["go_on", "begin_anew"])
def test_a_stop_between_the_object_and_its_row_loses_nothing(world: World, how: str) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(world.upload(0, Paused(world, after=stop)), 0, len(DATA))
    assert world.published() is None
    assert world.durable() == len(DATA)

    getattr(world, how)()

    assert world.published() == DATA
    assert (len(world.objects()), world.under_way()) == (1, [])


def test_a_piece_that_comes_when_another_has_published_is_refused(world: World) -> None:
    late = S3Store(world.place, Late(world, world.begin_anew), PIECE)

    lost(lambda: send(world.upload(0, late), 0, len(DATA)))

    assert world.published() == DATA
    assert (len(world.objects()), world.under_way()) == (1, [])


def test_a_piece_that_comes_between_those_of_another_is_not_published(world: World) -> None:
    first = world.upload(0)
    send(first, 0, 12 * MIB)
    first.close()
    owner: list[Upload] = []

    def take_over() -> None:
        world.free()
        owner.append(world.upload(2 * PIECE))
        send(owner[0], 2 * PIECE, 3 * PIECE + 10)
        owner[0].close()

    world.free()
    slow = world.upload(2 * PIECE, S3Store(world.place, Late(world, take_over), PIECE))
    lost(lambda: send(slow, 2 * PIECE, len(DATA), b"?" * len(DATA)))

    # Whoever goes on may find the piece that came late: then it is found out, and sent again.
    with suppress(Error):
        world.go_on()
    if world.published() is None:
        world.begin_anew()
    assert world.published() == DATA
    assert (len(world.objects()), world.under_way()) == (1, [])


def test_one_who_wakes_up_after_a_day_finds_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = world.upload(0)
    send(slow, 0, 12 * MIB)
    until(world.durable)
    world.free()
    monkeypatch.setattr(upkeep, "PART_KEPT_US", -1_000_000)

    upkeep.sweep(world.records, world.store())

    assert (world.objects(), world.under_way()) == ([], [])
    lost(lambda: send(slow, 12 * MIB, len(DATA)))
    assert world.published() is None


def test_a_sweep_leaves_what_others_have_under_way(world: World) -> None:
    upload = world.upload(0)
    send(upload, 0, 12 * MIB)
    stray = world.store().stage(len(DATA))
    stray.write(DATA)
    stray.flush()

    upkeep.sweep(world.records, world.store())

    assert len(world.under_way()) == 2
    send(upload, 12 * MIB, len(DATA))
    assert world.published() == DATA


def test_a_stray_older_than_a_day_is_swept_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = world.upload(0)
    send(upload, 0, 12 * MIB)
    stray = world.store().stage(len(DATA))
    stray.write(DATA)
    stray.flush()
    monkeypatch.setattr(staging, "old", lambda *_: [])
    monkeypatch.setattr(upkeep, "PART_KEPT_US", -1_000_000)

    upkeep.sweep(world.records, world.store())

    assert world.under_way() == [world.place.name(world.key())]
    send(upload, 12 * MIB, len(DATA))
    assert world.published() == DATA
