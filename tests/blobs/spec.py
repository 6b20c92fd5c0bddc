"""What every blob store promises. An adapter's test is `class TestX(BlobStoreSpec)`."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from modelkeep.errors import AbortedError, DataLossError
from modelkeep_server.blobs import BLOCK, BlobStore, StagedBlob

DATA = bytes(range(251)) * (2 * BLOCK // 251 + 1000)  # two blocks and a part of a third
SIZE = len(DATA)
FRESH = "0" * 32

Restart = Callable[[], BlobStore]


def content(store: BlobStore, key: str, size: int = SIZE) -> bytes:
    return b"".join(store.read(key, 0, size + 1))


def staged_content(store: BlobStore, part: StagedBlob) -> bytes:
    """Read a part; where it can't be read yet, as what it becomes."""
    if part.is_readable:
        return b"".join(part.read())
    part.publish()
    return content(store, part.key)


class BlobStoreSpec:
    """A subclass provides the fixtures `store`, `restart` and `lasting`.

    `restart()` answers a store on the same bytes, as a new process would open it. `lasting` are
    bytes of which some are durable once they were flushed.
    """

    # Whose it is.

    def test_a_new_store_is_nobodys(self, store: BlobStore) -> None:
        assert store.files.owner() is None
        assert store.files.is_empty()

    def test_a_store_is_the_first_ones_who_says_so(
        self, store: BlobStore, restart: Restart
    ) -> None:
        assert store.claim("one") == "one"

        other = restart()
        assert other.claim("another") == "one"
        assert other.claim("one") == "one"
        assert other.files.owner() == "one"
        assert other.files.is_empty()
        assert list(store.files.strangers()) == []
        assert store.staged_keys(math.inf) == []

    def test_of_many_who_claim_a_store_at_once_one_has_it(self, store: BlobStore) -> None:
        with ThreadPoolExecutor(16) as threads:
            told = list(threads.map(store.claim, map(str, range(16))))

        assert set(told) == {store.files.owner()}

    def test_a_store_with_a_blob_is_not_empty(self, store: BlobStore) -> None:
        part = store.stage(10)
        part.write(DATA[:10])
        part.flush(last=True)
        assert store.files.is_empty()

        part.publish()

        assert not store.files.is_empty()

    # Small blobs, many at once.

    @pytest.mark.parametrize("size", [0, 1, 4096, BLOCK, BLOCK + 1])
    def test_a_blob_put_comes_back_byte_for_byte(self, store: BlobStore, size: int) -> None:
        [key] = store.put_many([DATA[:size]])

        assert content(store, key) == DATA[:size]

    def test_keys_come_in_the_order_of_the_blobs(self, store: BlobStore) -> None:
        blobs = [b"blob %d" % number for number in range(100)]

        keys = store.put_many(blobs)

        assert [content(store, key) for key in keys] == blobs

    def test_no_blobs_have_no_keys(self, store: BlobStore) -> None:
        assert store.put_many([]) == []

    def test_the_same_bytes_put_twice_lie_under_two_keys(self, store: BlobStore) -> None:
        keys = store.put_many([DATA[:10], DATA[:10]]) + store.put_many([DATA[:10]])

        assert len(set(keys)) == 3

    def test_many_threads_put_at_once(self, store: BlobStore) -> None:
        packs = [[b"%d of %d" % (blob, pack) for blob in range(20)] for pack in range(20)]

        with ThreadPoolExecutor(10) as threads:
            keys = list(threads.map(store.put_many, packs))

        assert [[content(store, key) for key in pack] for pack in keys] == packs

    def test_what_was_put_is_there_after_a_restart(
        self, store: BlobStore, restart: Restart
    ) -> None:
        [key] = store.put_many([DATA])

        assert content(restart(), key) == DATA

    def test_what_was_put_is_not_staged(self, store: BlobStore) -> None:
        store.put_many([b"a", b"b"])

        assert store.staged_keys(math.inf) == []

    # Reading.

    @pytest.mark.parametrize(
        ("offset", "length"),
        [
            (0, 0),
            (0, 1),
            (0, len(DATA)),
            (1, len(DATA) - 1),
            (BLOCK - 1, 2),
            (BLOCK, BLOCK),
            (BLOCK + 5, BLOCK),
            (len(DATA) - 1, 1),
            (len(DATA), 0),
        ],
    )
    def test_a_range_is_read_by_blocks(self, store: BlobStore, offset: int, length: int) -> None:
        [key] = store.put_many([DATA])

        pieces = list(store.read(key, offset, length))

        assert b"".join(pieces) == DATA[offset : offset + length]
        ends = [offset + len(b"".join(pieces[: n + 1])) for n in range(len(pieces))]
        assert [end % BLOCK for end in ends[:-1]] == [0] * len(ends[:-1])
        assert all(0 < len(piece) <= BLOCK for piece in pieces)

    @pytest.mark.parametrize("size", [0, 100, BLOCK, len(DATA)])
    def test_reading_ends_where_the_blob_does(self, store: BlobStore, size: int) -> None:
        [key] = store.put_many([DATA[:size]])

        assert b"".join(store.read(key, 0, 10 * BLOCK)) == DATA[:size]
        assert list(store.read(key, size, 1)) == []

    def test_reading_what_is_not_there_is_data_loss(self, store: BlobStore) -> None:
        with pytest.raises(DataLossError) as lost:
            list(store.read(FRESH, 0, 1))

        assert lost.value.reason == "BLOB_DAMAGED"

    def test_a_reader_can_stop_in_the_middle(self, store: BlobStore) -> None:
        [key] = store.put_many([DATA])

        assert next(store.read(key, 0, len(DATA))) == DATA[:BLOCK]

    # Parts.

    def test_a_part_is_readable_once_it_is_published(self, store: BlobStore) -> None:
        part = store.stage(SIZE)
        part.write(DATA)
        with pytest.raises(DataLossError):
            list(store.read(part.key, 0, 1))

        part.publish()

        assert content(store, part.key) == DATA
        assert store.staged_keys(math.inf) == []

    def test_an_empty_part_becomes_an_empty_blob(self, store: BlobStore) -> None:
        part = store.stage(SIZE)

        part.publish()

        assert content(store, part.key) == b""

    def test_pieces_of_any_size_are_appended(self, store: BlobStore) -> None:
        with closing(store.stage(SIZE)) as part:
            sizes = []
            for start, end in [(0, 1), (1, 1), (1, BLOCK), (BLOCK, len(DATA))]:
                part.write(DATA[start:end])
                sizes.append(part.size)

            assert sizes == [1, 1, BLOCK, len(DATA)]
            assert staged_content(store, part) == DATA

    def test_a_part_is_read_before_it_is_published_or_says_that_it_can_not(
        self, store: BlobStore
    ) -> None:
        with closing(store.stage(SIZE)) as part:
            part.write(DATA)

            if part.is_readable:
                assert b"".join(part.read()) == DATA
            else:
                with pytest.raises(ValueError, match="can't be read before"):
                    list(part.read())

    def test_every_part_has_a_key_of_its_own(self, store: BlobStore) -> None:
        with closing(store.stage(SIZE)) as one, closing(store.stage(SIZE)) as other:
            one.write(b"one")
            other.write(b"other")

            assert one.key != other.key
            assert (staged_content(store, one), staged_content(store, other)) == (b"one", b"other")

    def test_a_part_goes_on_where_it_was_durable(
        self, store: BlobStore, restart: Restart, lasting: bytes
    ) -> None:
        whole = lasting + DATA
        part = store.stage(len(whole))
        part.write(lasting)
        durable = part.flush()
        part.close()

        later = restart()
        resumed = later.stage(len(whole), part.key)
        assert 0 < durable <= resumed.size
        resumed.truncate(durable)
        assert resumed.size == durable
        resumed.write(whole[durable:])
        resumed.publish()

        assert content(later, part.key, len(whole)) == whole

    def test_the_last_flush_leaves_all_or_nothing_to_send_again(
        self, store: BlobStore, restart: Restart, lasting: bytes
    ) -> None:
        for data in (lasting, DATA[:1000]):
            part = store.stage(len(data))
            part.write(data)
            durable = part.flush(last=True)
            part.close()

            assert durable in (0, len(data))
            with closing(restart().stage(len(data), part.key)) as resumed:
                assert resumed.size == durable

    def test_a_part_published_before_its_row_came_is_a_part_again(
        self, store: BlobStore, restart: Restart, lasting: bytes
    ) -> None:
        for data in (lasting, DATA[:1000], b""):
            part = store.stage(len(data))
            part.write(data)
            part.publish()

            later = restart()
            resumed = later.stage(len(data), part.key)
            resumed.truncate(len(data))
            assert resumed.size == len(data)
            resumed.publish()

            assert content(later, part.key, len(data)) == data

    def test_published_are_the_bytes_that_were_written_and_it_says_so(
        self, store: BlobStore, lasting: bytes
    ) -> None:
        for data in (lasting, DATA[:1000], b""):
            part = store.stage(len(data))
            part.write(data)

            assert part.publish()
            assert content(store, part.key, len(data)) == data

    def test_a_part_of_which_nothing_is_left_is_empty(self, store: BlobStore) -> None:
        part = store.stage(SIZE)
        part.write(DATA)
        part.discard()

        resumed = store.stage(SIZE, part.key)

        assert resumed.size == 0
        resumed.write(b"anew")
        resumed.publish()
        assert content(store, part.key) == b"anew"

    def test_flushing_answers_what_was_there_when_it_was_called(self, store: BlobStore) -> None:
        with closing(store.stage(SIZE)) as part:
            assert part.flush() == 0
            part.write(DATA)

            assert part.flush() <= len(DATA)
            assert part.flush() <= part.size

    def test_flushing_goes_along_with_writing(self, store: BlobStore) -> None:
        part = store.stage(SIZE)
        written = threading.Event()
        flushed: list[int] = []

        def flush() -> None:
            while not written.is_set():
                flushed.append(part.flush())

        with ThreadPoolExecutor(1) as threads:
            flushing = threads.submit(flush)
            for start in range(0, len(DATA), 10_000):
                part.write(DATA[start : start + 10_000])
            written.set()
            flushing.result()
        part.publish()

        assert flushed == sorted(flushed)
        assert content(store, part.key) == DATA

    def test_a_truncated_part_goes_on_from_there(self, store: BlobStore) -> None:
        part = store.stage(SIZE)
        part.write(DATA[: BLOCK + 1] + b"wrong")

        part.truncate(BLOCK + 1)
        part.write(DATA[part.size :])
        part.publish()

        assert content(store, part.key) == DATA

    def test_what_was_truncated_is_gone(self, store: BlobStore) -> None:
        part = store.stage(SIZE)
        part.write(DATA)

        part.truncate(BLOCK)
        part.publish()

        assert content(store, part.key) == DATA[:BLOCK]

    def test_a_part_is_never_made_longer_by_truncating(self, store: BlobStore) -> None:
        with closing(store.stage(SIZE)) as part:
            part.write(b"short")

            with pytest.raises(ValueError, match="fewer than 6"):
                part.truncate(6)
            assert staged_content(store, part) == b"short"

    def test_a_discarded_part_leaves_nothing(self, store: BlobStore, lasting: bytes) -> None:
        part = store.stage(SIZE)
        part.write(lasting)
        part.flush()

        part.discard()

        assert store.staged_keys(math.inf) == []
        with pytest.raises(DataLossError):
            list(store.read(part.key, 0, 1))

    @pytest.mark.parametrize("end", ["publish", "discard", "close"])
    def test_a_part_that_is_over_takes_nothing_more(self, store: BlobStore, end: str) -> None:
        part = store.stage(SIZE)
        part.write(b"before")
        getattr(part, end)()

        for change in (lambda: part.write(b"after"), part.flush, part.publish):
            with pytest.raises(ValueError, match="closed"):
                change()
        part.close()
        part.discard()

        if end != "close":
            assert store.staged_keys(math.inf) == []
        if end == "publish":
            assert content(store, part.key) == b"before"

    # Who has a part.

    def test_a_part_taken_over_can_be_changed_by_its_new_owner_only(self, store: BlobStore) -> None:
        slow = store.stage(SIZE)
        slow.write(b"right")
        quick = store.stage(SIZE, slow.key)

        for change in (
            lambda: slow.write(b"wrong"),
            lambda: slow.truncate(0),
            slow.flush,
            slow.publish,
        ):
            with pytest.raises(AbortedError) as refused:
                change()
            assert refused.value.reason == "UPLOAD_LEASE_LOST"
        slow.discard()
        slow.close()
        quick.write(b"right on"[quick.size :])
        quick.publish()

        assert content(store, quick.key) == b"right on"

    def test_one_who_wakes_after_the_blob_was_published_leaves_it_alone(
        self, store: BlobStore
    ) -> None:
        slow = store.stage(SIZE)
        quick = store.stage(SIZE, slow.key)
        quick.write(DATA)
        quick.publish()

        with pytest.raises(AbortedError):
            slow.write(b"wrong")
        slow.discard()

        assert content(store, quick.key) == DATA

    def test_of_many_who_take_a_part_at_once_one_has_it(self, store: BlobStore) -> None:
        first = store.stage(SIZE)
        first.close()

        def take(_: int) -> StagedBlob | None:
            try:
                return store.stage(SIZE, first.key)
            except AbortedError:
                return None

        def write(part: StagedBlob) -> bool:
            try:
                part.write(b"mine")
            except AbortedError:
                part.close()
                return False
            part.publish()
            return True

        with ThreadPoolExecutor(8) as threads:
            parts = [part for part in threads.map(take, range(8)) if part]
            owners = [owned for owned in threads.map(write, parts) if owned]

        assert len(owners) == 1
        assert content(store, first.key) == b"mine"

    def test_parts_that_nobody_writes_are_listed(
        self, store: BlobStore, restart: Restart, lasting: bytes
    ) -> None:
        left, open_still = store.stage(SIZE), store.stage(SIZE)
        for part in (left, open_still):
            part.write(lasting)
            part.flush()
        left.close()

        assert store.staged_keys(math.inf) == [left.key]
        assert sorted(restart().staged_keys(math.inf)) == sorted([left.key, open_still.key])
        open_still.close()

    def test_parts_that_changed_since_are_not_listed(
        self, store: BlobStore, lasting: bytes
    ) -> None:
        with closing(store.stage(SIZE)) as part:
            part.write(lasting)
            part.flush()

        # A store's clock need not be ours, nor finer than a second.
        assert store.staged_keys(time.time() - 60) == []
        assert store.staged_keys(time.time() + 60) == [part.key]

    def test_a_part_can_be_removed(self, store: BlobStore, lasting: bytes) -> None:
        part = store.stage(SIZE)
        part.write(lasting)
        part.flush()
        part.close()

        store.remove_staged(part.key)
        store.remove_staged(part.key)

        assert store.staged_keys(math.inf) == []
        with closing(store.stage(SIZE, part.key)) as again:
            assert again.size == 0

    def test_a_part_being_written_is_not_removed(self, store: BlobStore, lasting: bytes) -> None:
        part = store.stage(len(lasting))
        part.write(lasting)
        part.flush()

        store.remove_staged(part.key)
        part.publish()

        assert content(store, part.key, len(lasting)) == lasting

    def test_removing_parts_never_touches_a_blob(self, store: BlobStore) -> None:
        [key] = store.put_many([DATA])

        store.remove_staged(key)

        assert content(store, key) == DATA

    # Removing.

    def test_a_blob_can_be_removed_and_others_stay(self, store: BlobStore) -> None:
        gone, other = store.put_many([DATA, DATA])
        part = store.stage(SIZE)
        part.publish()

        for key in (gone, gone, part.key, FRESH):
            store.remove(key)

        for key in (gone, part.key):
            with pytest.raises(DataLossError):
                list(store.read(key, 0, 1))
        assert content(store, other) == DATA

    def test_removing_a_blob_never_touches_a_part(self, store: BlobStore, lasting: bytes) -> None:
        part = store.stage(len(lasting))
        part.write(lasting)
        part.flush()

        store.remove(part.key)
        part.publish()

        assert content(store, part.key, len(lasting)) == lasting
