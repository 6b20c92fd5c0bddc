"""Clients whose versions share blobs with what is deleted meanwhile."""

import random
import threading

import grpc
from tests.collecting import purge
from tests.rounds import LostError, check_kept, seed
from tests.services.wire import Registry, download, status

CONTENTS = [f"content {number} ".encode() * 20 for number in range(250)]
COLLECTED_MEANWHILE = {
    "BLOBS_MISSING",
    "MANIFEST_NOT_SEALED",
    "SEAL_IN_PROGRESS",
    "STORAGE_BUSY",  # a pack whose bytes had no row for as long as the grace time
}
KEPT = 4
PAUSE_SECONDS = 0.1


class Uploader:
    """Makes versions of some of the contents, and drops them when they are past their grace time.

    Each is looked at when it is made, and before it is dropped.
    """

    def __init__(self, r: Registry, number: int, stop: threading.Event) -> None:
        self.made = 0
        self._live: dict[int, dict[str, bytes]] = {}
        self.collected_meanwhile = 0
        self._r = r
        self._asset = f"asset{number}"
        self._stop = stop
        self._random = random.Random(seed() + number)

    def run(self) -> None:
        """Go on until told to stop; the last versions stay."""
        while not self._stop.is_set():
            self._stop.wait(PAUSE_SECONDS)  # else collections would come to nothing
            if len(self._live) == KEPT:
                oldest = min(self._live)
                self._check(oldest)
                del self._live[oldest]
                purge(self._r, oldest, self._asset)
            files = {str(n): data for n, data in enumerate(self._random.sample(CONTENTS, 2))}
            self._push(files)
            self._live[self.made] = files
            self._check(self.made)

    def _check(self, number: int) -> None:
        """Hold that an acknowledged version has its bytes."""
        files = self._live[number]
        try:
            got = download(self._r, self._r.version(number, self._asset), *files)
        except grpc.RpcError as error:
            raise LostError(f"version {number} of {self._asset}: {status(error)}") from error
        check_kept(got == list(files.values()), f"bytes of version {number} of {self._asset}")

    def _push(self, files: dict[str, bytes]) -> None:
        """Push as the SDK does: what was collected meanwhile is sent again."""
        while True:
            try:
                self.made = self._r.create(self._asset, files).number
            except grpc.RpcError as error:
                if status(error).reason not in COLLECTED_MEANWHILE:
                    raise
                self.collected_meanwhile += 1
            else:
                return
