"""Sending blobs: only what is missing, small ones in packs, going on after breaks.

Work is done in rounds: ask what is missing, send that on a few streams, and if one of them broke
off or had to wait, ask again. Sixty seconds in which nothing becomes durable end it.
"""

import contextlib
import time
from collections.abc import Sequence

from modelkeep._manifest import hash_file
from modelkeep._progress import Meter
from modelkeep._upload_links import UploadLinks
from modelkeep._upload_stream import Blob, Queue, UploadStream
from modelkeep._wire import Link, Wire, is_break
from modelkeep._workers import STALL_SECONDS, backoff, run_all
from modelkeep.errors import Error, UnavailableError
from modelkeep.v1 import artifact_service_pb2 as pb

_STREAMS = 3
_PAGE = 10_000
_POLL_SECONDS = 1.0
_HELD = "UPLOAD_IN_PROGRESS"  # by another stream, perhaps of another process
_GO_ON = (_HELD, "UPLOAD_LEASE_LOST", "UPLOAD_OFFSET_MISMATCH")


def upload(wire: Wire, parent: str, blobs: Sequence[Blob], meter: Meter, ask: bool = True) -> None:
    """Make all of these present under `parent`, or raise.

    With `ask` false they are first sent without asking, which is quicker where they are few.
    """
    with wire.link(_STREAMS) as link:
        _Upload(wire, link, parent, meter).run(blobs, ask)


class _Upload:
    def __init__(self, wire: Wire, link: Link, parent: str, meter: Meter) -> None:
        self._wire = wire
        self._link = link
        self._parent = parent
        self._meter = meter
        self._links = UploadLinks(wire, parent, meter)
        self._heard = False  # from the server; before that, no patience

    def run(self, todo: Sequence[Blob], ask: bool) -> None:
        """Do rounds until nothing is missing."""
        failures = 0
        while todo:
            try:
                if ask or failures:
                    todo = self._missing(todo)
                problems = self._send(todo)
            except Error as error:
                if not is_break(error) or not (self._heard or failures == 0):
                    raise
                problems = [error]
            left = [blob for blob in todo if not blob.complete]
            self._heard = self._heard or len(left) < len(todo)
            failures += 1
            todo = self._pause(problems, left, failures) if problems else left

    def _missing(self, blobs: Sequence[Blob]) -> list[Blob]:
        """Ask which of these are not there, and note how much of each is."""
        found: dict[str, int] = {}
        for start in range(0, len(blobs), _PAGE):
            digests = [blob.digest for blob in blobs[start : start + _PAGE]]
            request = pb.FindMissingBlobsRequest(parent=self._parent, digests=digests)
            answer = self._wire.call(self._wire.artifacts.FindMissingBlobs, request)
            found.update((item.digest, item.durable_size) for item in answer.missing)
        self._heard = True
        for blob in blobs:
            durable = found.get(blob.digest, blob.size)
            if blob.digest not in found or durable != blob.durable:
                blob.note(durable, blob.digest not in found, self._meter)
        return [blob for blob in blobs if not blob.complete]

    def _send(self, blobs: Sequence[Blob]) -> list[Error]:
        """Send these on a few streams; give the errors after which it may go on."""
        self._links.send(blobs)
        queue = Queue(blobs)
        streams = [
            UploadStream(self._link, self._parent, queue, self._meter)
            for _ in range(min(_STREAMS, len(queue)))
        ]

        def cancel() -> None:
            for stream in streams:
                stream.cancel()

        results = run_all([stream.run for stream in streams], cancel, self._meter)
        return [error for error in results if error is not None]

    def _pause(self, problems: list[Error], left: list[Blob], failures: int) -> list[Blob]:
        """Wait before the next round; give what is left then, what others are sending last."""
        delay = backoff(failures)
        for problem in problems:
            delay = max(delay, _patience(problem, left))
        held = {error.metadata.get("digest") for error in problems if error.reason == _HELD}
        left.sort(key=lambda blob: blob.digest in held)
        if left and left[0].digest not in held:
            delay = min(delay, backoff(failures))
        if self._meter.idle_seconds + delay > STALL_SECONDS:
            raise problems[0]
        end = time.monotonic() + delay
        while left and (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, _POLL_SECONDS))
            if held:  # perhaps they are done
                with contextlib.suppress(UnavailableError):
                    left = self._missing(left)
        return left


def _patience(problem: Error, left: Sequence[Blob]) -> float:
    """Tell for how many seconds to wait at least after an error, or raise it."""
    digest = problem.metadata.get("expected") or problem.metadata.get("digest")
    blob = next((one for one in left if one.digest == digest), None)
    if problem.reason in _GO_ON or is_break(problem):
        return problem.retry_after_seconds or 0
    if blob is None:
        raise problem
    if problem.reason == "UPLOAD_SIZE_MISMATCH":
        blob.anew = True
    elif problem.reason == "DIGEST_MISMATCH" and blob.resumed and not blob.wrong:
        blob.anew = True  # the server dropped the part, whose start may have been wrong
        blob.wrong = True
    elif problem.reason == "DIGEST_MISMATCH" and blob.file and hash_file(blob.file) != digest:
        raise blob.file.changed()
    else:
        raise problem
    return 0
