"""A real SeaweedFS, from the wheel that has its program."""

import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.parts.ports import free_port
from tests.parts.s3 import BUCKET, KEYS, S3Server, running, variables

from modelkeep_server.values.s3_place import S3Keys

_SERVICES = (
    *("admin.port", "admin.port.grpc", "filer.port", "filer.port.grpc"),
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("s3.port.grpc", "s3.port.iceberg", "s3.port.lance"),
)
_QUIET = ("-admin.ui=false", "-webdav=false", "-master.telemetry=false")


@contextmanager
def seaweed(keys: S3Keys = KEYS) -> Iterator[S3Server]:
    """Run a SeaweedFS until the end of the block."""
    with running(_command, variables(keys), keys) as server:
        yield server


def _command(port: int, data: Path) -> Sequence[str | Path]:
    program = Path(sysconfig.get_path("scripts"), "weed")
    where = (f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={port}")
    return (program, "mini", *where, f"-bucket={BUCKET}", *_QUIET, *_others(port))


@cache
def _others(port: int) -> Sequence[str]:
    """Choose the ports of a server beside its first, to be kept when it is started again.

    It would find some by itself: the same as others that are started in that moment.
    """
    return [f"-{service}={free_port()}" for service in _SERVICES]
