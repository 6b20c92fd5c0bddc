"""A real SeaweedFS, from the wheel that has its program."""

import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.parts.s3 import BUCKET, KEYS, S3Server, running, variables

from modelkeep_server.values.s3_place import S3Keys

_QUIET = ("-admin.ui=false", "-webdav=false", "-master.telemetry=false")


@contextmanager
def seaweed(keys: S3Keys = KEYS) -> Iterator[S3Server]:
    """Run a SeaweedFS until the end of the block; it finds a dozen free ports by itself."""
    with running(_command, variables(keys), keys) as server:
        yield server


def _command(port: int, data: Path) -> Sequence[str | Path]:
    program = Path(sysconfig.get_path("scripts"), "weed")
    where = (f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={port}")
    return (program, "mini", *where, f"-bucket={BUCKET}", *_QUIET)
