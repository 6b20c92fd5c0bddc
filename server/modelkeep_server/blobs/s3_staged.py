"""A part in an S3-compatible store: a multipart upload under way.

* It is sent in pieces of one size; what is not yet a whole piece is in memory, where at most two
  are: one on its way, one being filled.
* A blob smaller than a piece is sent when it is published, in one request.
* It becomes an object of exactly those pieces that were sent here, or were there when it was
  taken over, by their ETags. What one whose lease ran out sends later is not among them: where it
  took the place of a piece of ours, or where that one has completed the upload, nothing is
  published here, or it is said that the bytes may not be ours.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from modelkeep_server.blobs.s3_bucket import Piece, S3Bucket, UploadOverError
from modelkeep_server.blobs.s3_errors import unavailable
from modelkeep_server.blobs.s3_piece import PieceBuffer
from modelkeep_server.blobs.writers import Writers, lost


class S3StagedBlob:
    """A part, in a multipart upload of its own that is begun with its first piece."""

    is_readable = False

    def __init__(
        self,
        key: str,
        name: str,
        piece_size: int,
        bucket: S3Bucket,
        writers: Writers,
        *,
        is_new: bool,
    ) -> None:
        """Open the part as it was left; of a new one nothing is asked."""
        self.key = key
        # A piece is sent while the next one comes.
        self.flush_bytes = piece_size
        self._name = name
        self._piece_size = piece_size
        self._bucket = bucket
        self._writers = writers
        self._uploads: list[str] = []  # the last is the one in use
        self._pieces: list[Piece] = []
        self._object_size: int | None = None
        self._full: PieceBuffer | None = None
        self._filling = PieceBuffer(piece_size)
        self._spare: PieceBuffer | None = None
        self._lost = False
        self._closed = False
        # Held while what is noted here changes; nothing is asked of the store meanwhile.
        self._changing = threading.Lock()
        # Held while something is asked of the store, and taken before `_changing`.
        self._sending = threading.Lock()
        self._open(is_new)

    @property
    def size(self) -> int:
        """How many bytes are there, in the store and in memory."""
        return self._durable + (self._full.size if self._full else 0) + self._filling.size

    def lose(self) -> None:
        """Change nothing any more: the part is someone else's from now on."""
        with self._changing:
            self._lost = True

    def read(self) -> Iterator[bytes]:
        """Refuse: an upload under way can't be read."""
        raise ValueError(f"{self.key} can't be read before it is published")

    def write(self, data: bytes) -> None:
        """Append all of `data`; where it raises nothing, or so much as makes whole pieces."""
        for at in range(0, len(data), self._piece_size):
            some = data[at : at + self._piece_size]
            if self._full is not None and self._filling.room < len(some):
                self.flush()
            with self._writable():
                if self._object_size is not None:
                    raise ValueError(f"{self.key} is whole")
                self._add(some)

    def flush(self, *, last: bool = False) -> int:
        """Send the whole pieces that are there, and the `last` of several, if it is shorter."""
        with self._sending:
            with self._writable():
                whole = (self.size - self._durable) // self._piece_size
            for _ in range(whole):
                self._send(self._full or self._filling)
            if last and self._pieces and self._filling.size:
                self._send(self._filling)
            with self._writable():
                return self._durable

    def truncate(self, size: int) -> None:
        """Drop what lies behind `size`, by whole pieces where that is in the store."""
        with self._sending, self._writable():
            if size > self.size:
                raise ValueError(f"{self.key} has {self.size} bytes, fewer than {size}")
            if size < self._durable:
                self._object_size = None
                self._pieces = _fitting(self._pieces, size)
                size = self._durable
            left = [buffer.content() for buffer in (self._full, self._filling) if buffer]
            self._full, self._filling = None, PieceBuffer(self._piece_size)
            self._add(b"".join(left)[: size - self._durable])

    def publish(self) -> bool:
        """Make an object of the pieces; answer whether it certainly is one of them."""
        self.flush(last=True)
        with self._sending:
            with self._writable():
                data = self._filling.content()
            if self._object_size is not None:
                is_ours = False
            elif self._pieces:
                is_ours = self._complete()
            else:
                self._bucket.put(self._name, data)
                is_ours = True
        self.close()
        return is_ours

    def discard(self) -> None:
        """Drop the part. One that was taken over stays with who has it now."""
        try:
            with self._sending:
                if not (self._lost or self._closed):
                    for upload in self._uploads:
                        self._bucket.abort(self._name, upload)
                    if self._object_size is not None:
                        self._bucket.remove(self._name)
        finally:
            self.close()

    def close(self) -> None:
        """Leave the pieces as they are. May be called again."""
        with self._sending, self._changing:
            self._closed = True
            self._full = self._spare = None
            self._filling = PieceBuffer(self._piece_size)
        self._writers.leave(self)

    @property
    def _durable(self) -> int:
        if self._object_size is not None:
            return self._object_size
        return sum(piece.size for piece in self._pieces)

    def _open(self, is_new: bool) -> None:
        self._writers.take(self)
        try:
            if not is_new:
                self._look()
        except BaseException:
            self._writers.leave(self)
            raise

    def _look(self) -> None:
        """See what is left: an object, or else pieces of an upload."""
        for upload in self._bucket.under_way(self._name):
            if upload.name == self._name:
                self._look_at(upload.id)
        # Looked for last: an upload that was completed meanwhile is one.
        found = self._bucket.find(self._name)
        self._object_size = found.size if found else None

    def _look_at(self, upload: str) -> None:
        try:
            found = self._bucket.pieces(self._name, upload)
        except UploadOverError:
            return
        whole = _in_a_row(found, self._piece_size)
        # A request to begin one may have been answered twice, so there may be empty ones.
        if sum(piece.size for piece in whole) >= self._durable:
            self._uploads.append(upload)
            self._pieces = whole
        else:
            self._uploads.insert(0, upload)

    def _add(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._filling.add(left) :]
            self._turn()

    def _turn(self) -> None:
        """Fill another piece, once one is full and the one before has left."""
        if self._full is None and not self._filling.room:
            self._full = self._filling
            self._filling = self._spare or PieceBuffer(self._piece_size)
            self._spare = None

    def _send(self, buffer: PieceBuffer) -> None:
        if not self._uploads:
            self._uploads.append(self._bucket.begin(self._name))
        with self._writable():
            number = len(self._pieces) + 1
        try:
            piece = self._bucket.send(self._name, self._uploads[-1], number, buffer.body())
        except UploadOverError as over:
            raise lost() from over
        with self._writable():
            self._pieces.append(piece)
            buffer.clear()
            if buffer is self._full:
                self._full, self._spare = None, buffer
                self._turn()

    def _complete(self) -> bool:
        try:
            etag = self._bucket.complete(self._name, self._uploads[-1], self._pieces)
        except UploadOverError as over:
            # It may be our own that was done, and its answer lost.
            found = self._bucket.find(self._name)
            if found is None or found.size != self._durable:
                raise lost() from over
            etag = found.etag
        if not etag:
            raise unavailable("could not put the parts of an upload together")
        return etag == _etag(self._pieces)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        with self._changing:
            if self._lost:
                raise lost()
            if self._closed:
                raise ValueError(f"{self.key} is closed")
            yield


def _in_a_row(pieces: Sequence[Piece], piece_size: int) -> list[Piece]:
    """Give the pieces from the first on that follow each other; a short one is the last.

    One that came by a link is all of its blob, however large.
    """
    row: list[Piece] = []
    for number, piece in enumerate(pieces, 1):
        if piece.number != number:
            break
        row.append(piece)
        if piece.size < piece_size:
            break
    return row


def _fitting(pieces: Sequence[Piece], size: int) -> list[Piece]:
    ends = accumulate(piece.size for piece in pieces)
    return [piece for piece, end in zip(pieces, ends, strict=True) if end <= size]


def _etag(pieces: Sequence[Piece]) -> str:
    """Tell the ETag of an object of these pieces; of a store with ETags of its own none is."""
    try:
        digests = b"".join(bytes.fromhex(piece.etag) for piece in pieces)
    except ValueError:
        return ""
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(pieces)}"
