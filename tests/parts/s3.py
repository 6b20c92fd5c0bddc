"""A real S3 server as a process: of whichever kind, told where it is and who may use it."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.parts.ports import free_port

from modelkeep.errors import UnavailableError
from modelkeep_server.blobs.s3_bucket import S3Bucket
from modelkeep_server.values.s3_place import S3Keys, S3Place

ELSEWHERE = os.environ.get("MODELKEEP_TEST_S3_URL")
"""What `--blobs` takes, of a server that is there already; its keys are in the environment."""

BUCKET = "modelkeep"


def variables(keys: S3Keys, prefix: str = "") -> dict[str, str]:
    """Give keys as the environment has them."""
    values = {"AWS_ACCESS_KEY_ID": keys.access, "AWS_SECRET_ACCESS_KEY": keys.secret}
    return {prefix + name: value for name, value in values.items()}


KEYS = (S3Keys.of(os.environ) if ELSEWHERE else None) or S3Keys(
    "modelkeep-tests", "a secret of these tests"
)
ENVIRONMENT = variables(KEYS)
"""What a modelkeep server needs in its environment to use these."""

_SECONDS = 60
_TRIES = 5

Command = Callable[[int, Path], Sequence[str | Path]]
"""What starts a server at a port, with its data in a folder."""


class S3Server:
    """An S3 server on a port of loopback, which can be paused, killed and started again."""

    def __init__(
        self, home: Path, command: Command, environment: Mapping[str, str], keys: S3Keys
    ) -> None:
        self._home = home
        self._command = command
        self._environment = environment
        self._keys = keys
        self._log = home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._start_anywhere()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def url(self, port: int | None = None) -> str:
        """Give what `--blobs` takes: a new place, or at another port what stands before it."""
        prefix = secrets.token_hex(8)
        return f"s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}"

    def start(self) -> None:
        """Start it where it was, and wait until it serves the bucket."""
        (self._home / "data").mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, self._command(self.port, self._home / "data"))],
                env={"PATH": os.environ["PATH"], "HOME": str(self._home), **self._environment},
                stdout=log,
                stderr=log,
                cwd=self._home,
            )
        end = time.monotonic() + _SECONDS
        while not self._serves():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def pause(self) -> None:
        """Let it answer nothing any more."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, and wait: a folder that goes before it would keep it for good."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(timeout=_SECONDS)

    def _start_anywhere(self) -> None:
        for tries_left in range(_TRIES - 1, -1, -1):
            self.port = free_port()
            try:
                self.start()
                return
            except AssertionError:
                # Somebody else may have taken one of its ports meanwhile.
                self.kill()
                if not tries_left:
                    raise

    def _serves(self) -> bool:
        bucket = S3Bucket(S3Place.parse(self.url()), self._keys)
        try:
            # It has to be written: a bucket is there before there is anywhere to put objects.
            bucket.put("is-it-there", b"yes")
        except (UnavailableError, LookupError):
            return False
        return True


def place_elsewhere(url: str) -> str:
    """Give a new place in a place."""
    where, mark, options = url.partition("?")
    return f"{where.rstrip('/')}/{secrets.token_hex(8)}{mark}{options}"


def bucket_at(url: str) -> S3Bucket:
    """Speak to a server."""
    return S3Bucket(S3Place.parse(url), KEYS)


@contextmanager
def running(
    command: Command, environment: Mapping[str, str], keys: S3Keys = KEYS
) -> Iterator[S3Server]:
    """Run a server until the end of the block; what it had goes with it."""
    home = Path(tempfile.mkdtemp(prefix="modelkeep-s3-"))
    server: S3Server | None = None
    try:
        server = S3Server(home, command, environment, keys)
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(home, ignore_errors=True)
