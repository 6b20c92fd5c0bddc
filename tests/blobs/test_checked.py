"""No reader gets a wrong byte: every block is checked before any of it goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.blobs.spec import DATA, FRESH

from modelkeep.errors import DataLossError
from modelkeep_server.blobs import BLOCK, Checksums, LocalStore, read_checked
from modelkeep_server.values.stored_blob import StoredBlob

SIZE = len(DATA)
LAST = 2 * BLOCK  # where the short block at the end starts
DIGEST = "sha256:" + "ab" * 32

Change = Callable[[Callable[[bytearray], None]], None]


def checksums(data: bytes, piece_size: int = BLOCK) -> bytes:
    sums = Checksums()
    for start in range(0, len(data), piece_size):
        sums.update(data[start : start + piece_size])
    return sums.digest()


def put(store: LocalStore, data: bytes) -> StoredBlob:
    [key] = store.put_many([data])
    return StoredBlob(DIGEST, key, len(data), checksums(data))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def store(root: Path) -> LocalStore:
    return LocalStore(root, print)


@pytest.fixture(scope="module")
def blobs_by_size(store: LocalStore) -> dict[int, StoredBlob]:
    return {size: put(store, DATA[:size]) for size in (0, 1, BLOCK, BLOCK + 1, SIZE)}


@pytest.fixture
def blob(store: LocalStore) -> StoredBlob:
    return put(store, DATA)


@pytest.fixture
def change(root: Path, blob: StoredBlob) -> Change:
    """Change the blob's bytes behind the store's back."""

    def apply(edit: Callable[[bytearray], None]) -> None:
        [path] = root.glob(f"blobs/*/{blob.key}")
        data = bytearray(path.read_bytes())
        edit(data)
        path.chmod(0o600)
        path.write_bytes(data)

    return apply


class TestChecksums:
    """The checksums kept beside a blob."""

    def test_are_crc32c_little_endian(self) -> None:
        assert checksums(b"123456789") == bytes.fromhex("839206e3")

    def test_are_four_bytes_for_each_block_begun(self) -> None:
        sizes = [0, 1, BLOCK, BLOCK + 1, 2 * BLOCK]

        assert [len(checksums(DATA[:size])) for size in sizes] == [0, 4, 4, 8, 8]

    def test_stand_for_their_block_alone(self) -> None:
        blocks = [DATA[start : start + BLOCK] for start in range(0, SIZE, BLOCK)]

        assert checksums(DATA) == b"".join(map(checksums, blocks))

    @pytest.mark.parametrize("piece_size", [4097, BLOCK - 1, BLOCK + 1, SIZE])
    def test_do_not_depend_on_how_the_bytes_come(self, piece_size: int) -> None:
        assert checksums(DATA, piece_size) == checksums(DATA)

    def test_can_be_asked_for_before_the_end(self) -> None:
        sums = Checksums()
        sums.update(DATA[:5])
        assert sums.digest() == checksums(DATA[:5])

        sums.update(b"")
        sums.update(DATA[5:])

        assert sums.digest() == checksums(DATA)


class TestReadChecked:
    """Reading by blocks that were checked."""

    @given(st.data())
    def test_any_range_comes_back(
        self, store: LocalStore, blobs_by_size: dict[int, StoredBlob], data: st.DataObject
    ) -> None:
        blob = blobs_by_size[data.draw(st.sampled_from(sorted(blobs_by_size)))]
        offset = data.draw(st.integers(0, blob.size))
        length = data.draw(st.integers(0, blob.size - offset))

        read = b"".join(read_checked(store, blob, offset, length))

        assert read == DATA[offset : offset + length]

    def test_a_piece_is_at_most_a_block(self, store: LocalStore, blob: StoredBlob) -> None:
        sizes = [len(piece) for piece in read_checked(store, blob, 5, SIZE - 5)]

        assert sizes == [BLOCK - 5, BLOCK, SIZE - LAST]

    @pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, SIZE + 1), (SIZE, 1), (5, -1)])
    def test_a_range_outside_the_blob_is_a_mistake(
        self, store: LocalStore, blob: StoredBlob, offset: int, length: int
    ) -> None:
        with pytest.raises(ValueError, match="not a range"):
            list(read_checked(store, blob, offset, length))

    @pytest.mark.parametrize("position", [0, BLOCK - 1, BLOCK, LAST - 1, LAST, SIZE - 1])
    def test_a_flipped_bit_ends_the_read_before_its_block(
        self,
        store: LocalStore,
        blob: StoredBlob,
        change: Change,
        position: int,
    ) -> None:
        def flip(data: bytearray) -> None:
            data[position] ^= 1

        change(flip)

        pieces, damage = drain(read_checked(store, blob, 0, SIZE))

        start = position // BLOCK * BLOCK
        assert pieces == DATA[:start]
        assert damage.reason == "BLOB_DAMAGED"
        assert damage.metadata == {"digest": DIGEST, "offset": str(start)}

    def test_a_flipped_bit_beside_the_range_ends_it_too(
        self,
        store: LocalStore,
        blob: StoredBlob,
        change: Change,
    ) -> None:
        def flip(data: bytearray) -> None:
            data[BLOCK + 10] ^= 1

        change(flip)

        pieces, damage = drain(read_checked(store, blob, BLOCK + 20, 5))

        assert pieces == b""
        assert damage.metadata["offset"] == str(BLOCK)
        assert b"".join(read_checked(store, blob, 0, BLOCK)) == DATA[:BLOCK]

    @pytest.mark.parametrize("size", [0, 5, BLOCK, BLOCK + 5, LAST, SIZE - 1])
    def test_a_file_that_is_too_short_is_damaged(
        self,
        store: LocalStore,
        blob: StoredBlob,
        change: Change,
        size: int,
    ) -> None:
        def cut(data: bytearray) -> None:
            del data[size:]

        change(cut)

        pieces, damage = drain(read_checked(store, blob, 0, SIZE))

        assert pieces == DATA[: size // BLOCK * BLOCK]
        assert damage.metadata["offset"] == str(size // BLOCK * BLOCK)

    def test_no_bytes_are_not_a_block_whose_checksum_is_theirs(
        self, store: LocalStore, root: Path
    ) -> None:
        zero = bytes.fromhex("ab9be09b")
        blob = put(store, zero)
        assert blob.checksums == bytes(4)
        [path] = root.glob(f"blobs/*/{blob.key}")
        path.chmod(0o600)
        path.write_bytes(b"")

        _, damage = drain(read_checked(store, blob, 0, 4))

        assert damage.metadata["offset"] == "0"

    def test_blocks_that_changed_places_are_damaged(
        self,
        store: LocalStore,
        blob: StoredBlob,
        change: Change,
    ) -> None:
        def swap(data: bytearray) -> None:
            data[:BLOCK], data[BLOCK:LAST] = data[BLOCK:LAST], data[:BLOCK]

        change(swap)

        pieces, damage = drain(read_checked(store, blob, 0, SIZE))

        assert pieces == b""
        assert damage.metadata["offset"] == "0"

    def test_a_file_that_is_gone_is_damaged(self, store: LocalStore) -> None:
        blob = StoredBlob(DIGEST, FRESH, 10, checksums(DATA[:10]))

        _, damage = drain(read_checked(store, blob, 0, 10))

        assert damage.metadata == {"digest": DIGEST, "offset": "0"}

    def test_lost_checksums_are_damage(self, store: LocalStore, blob: StoredBlob) -> None:
        short = StoredBlob(blob.digest, blob.key, blob.size, blob.checksums[:-1])

        pieces, damage = drain(read_checked(store, short, 0, SIZE))

        assert pieces == DATA[:LAST]
        assert damage.metadata["offset"] == str(LAST)

    def test_nothing_is_read_for_an_empty_range(self, store: LocalStore) -> None:
        gone = StoredBlob(DIGEST, FRESH, 10, checksums(DATA[:10]))

        assert list(read_checked(store, gone, 10, 0)) == []


def drain(pieces: Iterator[bytes]) -> tuple[bytes, DataLossError]:
    """Read to the error that must end it."""
    data = b""
    try:
        for piece in pieces:
            data += piece
    except DataLossError as damage:
        return data, damage
    pytest.fail("wrong bytes were read")


def test_a_block_is_passed_on_without_a_copy(tmp_path: Path) -> None:
    block = DATA[:BLOCK]

    class OneBlock(LocalStore):
        def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
            yield block

    blob = StoredBlob(DIGEST, FRESH, BLOCK, checksums(block))

    assert next(read_checked(OneBlock(tmp_path, print), blob, 0, BLOCK)) is block
