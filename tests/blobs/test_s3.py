"""Blobs in S3-compatible stores: the port's contract on real servers."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from tests.blobs.spec import DATA, BlobStoreSpec, content
from tests.parts.s3 import bucket_at

from modelkeep.errors import AbortedError, DataLossError
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.blobs.s3_staged import S3StagedBlob
from modelkeep_server.values.s3_place import S3Place

MIB = 1024 * 1024
PIECE = 5 * MIB  # the least that S3 takes
A, B, C, D = (letter * PIECE for letter in (b"a", b"b", b"c", b"d"))


def open_store(url: str) -> S3Store:
    return S3Store(S3Place.parse(url), bucket_at(url), PIECE)


def _send(part: S3StagedBlob, data: bytes) -> None:
    part.write(data)
    part.flush()


def content_or_none(store: S3Store, key: str) -> bytes | None:
    try:
        return content(store, key, 4 * PIECE)
    except DataLossError:
        return None


def ours_or_told(part: S3StagedBlob) -> bool:
    """Publish, and tell whether it said that what is there is its own."""
    try:
        return part.publish()
    except AbortedError:
        return False


class TestS3Store(BlobStoreSpec):
    """The contract of the port, and who wins where two go on with one part."""

    @pytest.fixture
    def url(self, make_blobs: Callable[[], str]) -> str:
        return make_blobs()

    @pytest.fixture
    def store(self, url: str) -> S3Store:
        return open_store(url)

    @pytest.fixture
    def restart(self, url: str) -> Callable[[], S3Store]:
        return lambda: open_store(url)

    @pytest.fixture
    def lasting(self) -> bytes:
        return DATA * 3

    @pytest.fixture
    def other(self, url: str) -> S3Store:
        """A store of another process on the same place, which knows nothing of the first."""
        return open_store(url)

    # One whose lease ran out, in another process than the one who went on. Each ends in one of
    # three ways: the owner publishes its own bytes, it is told that they may be another's, or it
    # publishes nothing.

    def test_a_late_piece_is_not_among_those_published(
        self, store: S3Store, other: S3Store
    ) -> None:
        late = store.stage(4 * PIECE)
        _send(late, A)
        owner = other.stage(4 * PIECE, late.key)
        _send(owner, B)
        _send(late, C)

        with suppress(AbortedError):
            owner.publish()
            assert content(other, late.key, 4 * PIECE) == A + B
        assert content_or_none(other, late.key) in (A + B, None)

    def test_a_late_piece_after_the_last_is_not_added(self, store: S3Store, other: S3Store) -> None:
        late = store.stage(4 * PIECE)
        _send(late, A)
        _send(late, B)
        owner = other.stage(4 * PIECE, late.key)
        _send(late, C)

        owner.publish()

        assert content(other, late.key, 4 * PIECE) == A + B

    def test_who_goes_on_takes_no_piece_that_comes_behind_what_it_was_told(
        self, store: S3Store, other: S3Store
    ) -> None:
        late = store.stage(4 * PIECE)
        for data in (A, B, C):
            _send(late, data)
        owner = other.stage(4 * PIECE, late.key)

        owner.truncate(PIECE)
        _send(owner, D)
        owner.publish()

        assert content(other, late.key, 4 * PIECE) == A + D

    def test_who_publishes_late_what_another_went_on_with_publishes_nothing_of_its(
        self, store: S3Store, other: S3Store
    ) -> None:
        late = store.stage(4 * PIECE)
        _send(late, A)
        _send(late, B)
        owner = other.stage(4 * PIECE, late.key)
        owner.truncate(PIECE)
        _send(owner, C)

        with suppress(AbortedError):
            assert late.publish()  # it had all it sent, as it sent it
        published = content_or_none(other, late.key)

        assert published in (A + B, None)
        assert ours_or_told(owner) == (published is None)
        assert content_or_none(other, late.key) == (published or A + C)

    def test_who_publishes_after_the_owner_changes_nothing(
        self, store: S3Store, other: S3Store
    ) -> None:
        late = store.stage(4 * PIECE)
        _send(late, A)
        _send(late, B)
        owner = other.stage(4 * PIECE, late.key)
        owner.truncate(PIECE)
        _send(owner, C)
        owner.publish()

        assert not ours_or_told(late)
        late.discard()

        assert content(other, late.key, 4 * PIECE) == A + C

    def test_who_sends_after_the_owner_published_changes_nothing(
        self, store: S3Store, other: S3Store
    ) -> None:
        late = store.stage(4 * PIECE)
        _send(late, A)
        owner = other.stage(4 * PIECE, late.key)
        _send(owner, B)
        owner.publish()

        with pytest.raises(AbortedError) as refused:
            _send(late, C)
        assert refused.value.reason == "UPLOAD_LEASE_LOST"
        assert content(other, late.key, 4 * PIECE) == A + B

    def test_who_lost_a_part_drops_nothing_of_it(self, store: S3Store) -> None:
        slow = store.stage(4 * PIECE)
        _send(slow, A)
        owner = store.stage(4 * PIECE, slow.key)

        slow.discard()
        _send(owner, B)
        owner.publish()

        assert content(store, owner.key, 4 * PIECE) == A + B

    def test_what_was_dropped_can_not_be_gone_on_with(self, store: S3Store, other: S3Store) -> None:
        late = store.stage(4 * PIECE)
        _send(late, A)
        other.stage(4 * PIECE, late.key).discard()

        for change in (lambda: _send(late, B), late.publish):
            with pytest.raises(AbortedError):
                change()
        assert content_or_none(other, late.key) is None

    def test_of_two_who_publish_the_same_at_once_none_makes_it_another(
        self, store: S3Store, other: S3Store
    ) -> None:
        for _ in range(5):
            late = store.stage(4 * PIECE)
            _send(late, A)
            _send(late, B)
            owner = other.stage(4 * PIECE, late.key)

            with ThreadPoolExecutor(2) as threads:
                list(threads.map(ours_or_told, (late, owner)))

            assert content(other, late.key, 4 * PIECE) == A + B

    def test_an_upload_begun_twice_goes_on_where_the_pieces_are(
        self, store: S3Store, other: S3Store, url: str
    ) -> None:
        part = store.stage(4 * PIECE)
        _send(part, A)
        # As a request that was answered late, and so made again, leaves it.
        bucket_at(url).begin(S3Place.parse(url).name(part.key))
        part.close()

        resumed = other.stage(4 * PIECE, part.key)
        assert resumed.size == PIECE
        resumed.discard()

        assert other.staged_keys(math.inf) == []
