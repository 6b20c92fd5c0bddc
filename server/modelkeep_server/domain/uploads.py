"""Uploads: bytes become a blob only when they are whole, right and durable.

* A part belongs to a principal, a parent and a digest; one stream at a time may write it, and
  one that is silent for ten seconds may be taken over.
* What was answered as durable survives a crash; a resumed part is hashed anew, before more of it
  comes or, in a store where it can't be read before that, when it is published.
* One that begins at 0 has a key that nobody knew before, so none whose lease ran out has a hand
  in it. Bytes that others may have had a hand in are hashed as they lie in the store.
* Bytes durable, then the row, then the answer.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import NoReturn

from modelkeep.errors import (
    AbortedError,
    DataLossError,
    Error,
    InvalidArgumentError,
    UnavailableError,
)
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore, Checksums, StagedBlob
from modelkeep_server.domain import possession
from modelkeep_server.domain.possession import check_parent
from modelkeep_server.records import blobs, staging
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.staging import Part
from modelkeep_server.values.call import Call
from modelkeep_server.values.limits import MAX_BLOB_SIZE
from modelkeep_server.values.stored_blob import StoredBlob

_RENEW_SECONDS = 3.0
_REHASH_ANSWER_SECONDS = 10.0


class Upload:
    """One large blob on its way in."""

    def __init__(
        self,
        records: Records,
        store: BlobStore,
        flusher: Executor,
        call: Call,
        header: pb.UploadHeader,
    ) -> None:
        """Take the header; `begin` does the rest."""
        self.header = header
        self.complete = False
        self._records = records
        self._store = store
        self._flusher = flusher
        self._call = call
        self._received = header.offset
        self._sha256 = hashlib.sha256()
        self._checksums = Checksums()
        self._part: Part | None = None
        self._staged: StagedBlob | None = None
        self._is_hashed = True
        self._durable = header.offset
        self._flush: Future[int] | None = None
        self._flushed_to = header.offset
        self._renewed = time.monotonic()

    def begin(self) -> Iterator[pb.BlobProgress]:
        """Take the part's lease and hash what is there; answers while that takes long."""
        session = self._records.read()
        check_parent(session, self.header.parent)
        check_size(self.header.size)
        if possession.present(self._records, self.header.parent, [self.header.digest]):
            # Sent before: what comes is counted and dropped.
            self._durable = self.header.size
            if self.header.offset >= self.header.size:
                yield from self._done()
            return
        self._take()
        yield from self._rehash()
        if self._received == self.header.size:
            yield from self._finish()

    def add(self, chunk: bytes) -> Iterator[pb.BlobProgress]:
        """Take the next bytes, and answer what became durable."""
        self._received += len(chunk)
        if self._received > self.header.size:
            raise InvalidArgumentError(
                "UPLOAD_TOO_LONG",
                f"more than the {self.header.size} bytes announced were sent",
                field="chunk",
                digest=self.header.digest,
                size=self.header.size,
            )
        if self._staged is None:
            if self._received == self.header.size:
                yield from self._done()
            return
        if self._is_hashed:
            self._hash(chunk)
        with self._lease_checked():
            self._staged.write(chunk)
        yield from self._keep_durable(self._staged.flush_bytes)
        if self._received == self.header.size:
            yield from self._finish()

    def close(self) -> None:
        """Leave the part for later: keep what is there, and free it for anyone."""
        staged, self._staged = self._staged, None
        part = self._part
        if staged is None or part is None:
            return
        try:
            # One that was taken over has nothing to keep.
            with suppress(AbortedError):
                if self._flush is not None:
                    self._flush.result()
                durable = staged.flush()
                self._records.bookkeep(lambda tx: staging.keep(tx, part, durable, now_us(), 0))
                self._durable = durable
        finally:
            staged.close()

    @property
    def durable_size(self) -> int:
        """How many bytes survive a crash."""
        return self._durable

    def _take(self) -> None:
        if self.header.offset:
            self._go_on()
        else:
            self._begin_anew()

    def _begin_anew(self) -> None:
        header, principal = self.header, self._call.principal
        # Made before the transaction, which holds SQL alone.
        fresh = self._store.stage(header.size)

        def work(tx: Session) -> tuple[Part, str]:
            part = staging.find(tx, header.parent, principal, header.digest)
            now = now_us()
            if part is not None:
                check_free(part, header, now)
                return staging.begin_anew(tx, part, fresh.key, header.size, now), part.key
            key, size = fresh.key, header.size
            return staging.add(tx, header.parent, principal, header.digest, key, size, now), ""

        try:
            self._part, earlier = self._records.bookkeep(work)
        except BaseException:
            fresh.discard()
            raise
        self._staged = fresh
        if earlier:
            drop_part(self._store, header.size, earlier)

    def _go_on(self) -> None:
        header, principal = self.header, self._call.principal

        def work(tx: Session) -> Part:
            part = staging.find(tx, header.parent, principal, header.digest)
            if part is None:
                raise _wrong_offset(header, 0)
            now = now_us()
            check_free(part, header, now)
            return staging.take(tx, part, now)

        self._part = self._records.bookkeep(work)
        self._staged = self._reopened(self._part)
        if self._staged.size >= header.offset:
            self._staged.truncate(header.offset)
        if self._staged.size != header.offset:
            if header.offset == self._part.size:
                # What came by a link can't be gone on with.
                self._staged.truncate(0)
            raise _wrong_offset(header, self._staged.size)

    def _reopened(self, part: Part) -> StagedBlob:
        try:
            return self._store.stage(part.size, part.key)
        except BaseException as error:
            # Nobody holds it, so the next try need not wait for the lease to end.
            with suppress(Error):
                self._records.bookkeep(
                    lambda tx: staging.keep(tx, part, part.durable_size, now_us(), 0)
                )
            if isinstance(error, AbortedError):
                raise _in_progress(self.header, part, error.retry_after_seconds or 1) from error
            raise

    def _rehash(self) -> Iterator[pb.BlobProgress]:
        if self._staged is None or not self.header.offset:
            return
        if self._staged.is_readable:
            yield from self._hash_all(self._staged.read())
        else:
            self._is_hashed = False

    def _read_back(self, part: Part) -> Iterator[pb.BlobProgress]:
        """Hash what was published: it need not be what this stream has sent."""
        self._sha256, self._checksums = hashlib.sha256(), Checksums()
        try:
            yield from self._hash_all(self._store.read(part.key, 0, part.size))
        except DataLossError:
            # One who began anew drops what was before.
            self._renew_lease(now=True)
            raise

    def _hash_all(self, blocks: Iterator[bytes]) -> Iterator[pb.BlobProgress]:
        answered = time.monotonic()
        for block in blocks:
            self._hash(block)
            self._renew_lease()
            if time.monotonic() - answered > _REHASH_ANSWER_SECONDS:
                answered = time.monotonic()
                yield self._progress()

    def _hash(self, data: bytes) -> None:
        self._sha256.update(data)
        self._checksums.update(data)

    def _keep_durable(self, flush_bytes: int) -> Iterator[pb.BlobProgress]:
        """Make what was written durable behind the back of what is being received."""
        if self._flush is not None and (
            self._flush.done() or self._received - self._flushed_to >= flush_bytes
        ):
            self._durable = self._flush.result()
            self._flush = None
            self._renewed = time.monotonic()
            yield self._progress()
        if self._flush is None and self._received - self._flushed_to >= flush_bytes:
            self._flushed_to = self._received
            self._flush = self._flusher.submit(self._make_durable)
        self._renew_lease()

    def _make_durable(self, *, last: bool = False) -> int:
        part, staged = self._part, self._staged
        if part is None or staged is None:
            return self._durable
        with self._lease_checked():
            durable = staged.flush(last=last)
        now = now_us()
        self._check_ours(lambda tx: staging.keep(tx, part, durable, now, now + staging.LEASE_US))
        return durable

    @contextmanager
    def _lease_checked(self) -> Iterator[None]:
        """Name the blob where the store says that its part was taken over."""
        try:
            yield
        except AbortedError as lost:
            raise _lease_lost(self.header.digest) from lost

    def _renew_lease(self, *, now: bool = False) -> None:
        part = self._part
        if part is not None and (now or time.monotonic() - self._renewed > _RENEW_SECONDS):
            self._renewed = time.monotonic()
            at = now_us()
            # Not what is durable: a flush in its own thread may just have noted more.
            self._check_ours(lambda tx: staging.renew(tx, part, at, at + staging.LEASE_US))

    def _check_ours(self, note: Callable[[Session], bool]) -> None:
        if not self._records.bookkeep(note):
            raise _lease_lost(self.header.digest)

    def _finish(self) -> Iterator[pb.BlobProgress]:
        staged, part = self._staged, self._part
        if staged is None or part is None:
            return
        if self._flush is not None:
            self._flush.result()
            self._flush = None
        if self._is_hashed and self._actual() != self.header.digest:
            self._drop(staged, part, staged.discard)
        if not staged.is_readable:
            # Whoever goes on with what is published finds all of it, so its row must say so.
            self._durable = self._make_durable(last=True)
        with self._lease_checked():
            is_ours = staged.publish()
        self._staged = None
        if not (self._is_hashed and is_ours):
            yield from self._read_back(part)
            if self._actual() != self.header.digest:
                self._drop(staged, part, partial(self._store.remove, part.key))
        blob = StoredBlob(self.header.digest, part.key, self.header.size, self._checksums.digest())
        if not self._records.bookkeep(lambda tx: _publish(tx, part, self.header.parent, blob)):
            # These bytes are here already, from another place: ours are not needed.
            self._store.remove(part.key)
        yield from self._done()

    def _actual(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"

    def _drop(self, staged: StagedBlob, part: Part, drop: Callable[[], None]) -> NoReturn:
        # The row first: one must never tell of durable bytes that are gone.
        ours = self._records.bookkeep(lambda tx: staging.drop(tx, part))
        self._staged = None
        if ours:
            drop()
        staged.close()
        raise digest_mismatch(self.header.digest, self._actual(), "header.digest")

    def _done(self) -> Iterator[pb.BlobProgress]:
        self.complete = True
        self._durable = self.header.size
        yield self._progress()

    def _progress(self) -> pb.BlobProgress:
        return pb.BlobProgress(
            digest=self.header.digest, durable_size=self._durable, complete=self.complete
        )


def check_size(size: int) -> None:
    """Refuse a blob larger than the store takes."""
    if size > MAX_BLOB_SIZE:
        raise InvalidArgumentError(
            "FIELD_INVALID",
            f"a blob has at most {MAX_BLOB_SIZE} bytes",
            field="header.size",
        )


def digest_mismatch(expected: str, actual: str, field: str) -> InvalidArgumentError:
    """Say that bytes are not what was announced."""
    return InvalidArgumentError(
        "DIGEST_MISMATCH",
        f"the bytes are {actual}, not {expected}; they were dropped",
        field=field,
        expected=expected,
        actual=actual,
    )


def _publish(session: Session, part: Part, parent: str, blob: StoredBlob) -> bool:
    if not staging.drop(session, part):
        raise _lease_lost(blob.digest)
    return blobs.add(session, parent, blob, now_us())


def drop_part(store: BlobStore, size: int, key: str) -> None:
    """Drop a part that has no row any more; what can't be dropped now is swept."""
    with suppress(AbortedError, UnavailableError):
        store.stage(size, key).discard()


def check_free(part: Part, header: pb.UploadHeader, now: int) -> None:
    """Refuse to take over a part that somebody is sending, or that this header does not fit."""
    # One that would last much longer than any was given by a clock that has been set back since.
    if now < part.lease_us <= now + 2 * staging.LEASE_US:
        raise _in_progress(header, part, (part.lease_us - now) / 1e6)
    if header.offset and part.size != header.size:
        raise InvalidArgumentError(
            "UPLOAD_SIZE_MISMATCH",
            f"a part of {header.digest} is here that was announced with {part.size} bytes, not "
            f"{header.size}; start at offset 0 to replace it",
            field="header.size",
            digest=header.digest,
            size=header.size,
            actual=part.size,
        )
    # All of it may have come by a link: the store will know.
    if header.offset not in (0, part.durable_size, part.size):
        raise _wrong_offset(header, part.durable_size)


def _in_progress(header: pb.UploadHeader, part: Part, seconds: float) -> AbortedError:
    return AbortedError(
        "UPLOAD_IN_PROGRESS",
        f"another stream is sending {header.digest}; try again when it is done or silent",
        retry_after_seconds=seconds,
        digest=header.digest,
        durable_size=part.durable_size,
    )


def _wrong_offset(header: pb.UploadHeader, durable_size: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        "UPLOAD_OFFSET_MISMATCH",
        f"{durable_size} bytes of {header.digest} are durable here; start there, or at 0",
        field="header.offset",
        digest=header.digest,
        offset=header.offset,
        durable_size=durable_size,
    )


def _lease_lost(digest: str) -> AbortedError:
    return AbortedError(
        "UPLOAD_LEASE_LOST",
        f"another stream took the upload of {digest} over after a silence",
        digest=digest,
    )
