"""A real MinIO, if its program is on PATH; `make test-all` builds it where Go is."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.parts.s3 import BUCKET, KEYS, S3Server, running


@contextmanager
def minio() -> Iterator[S3Server]:
    """Run a MinIO until the end of the block, or skip the test where there is none."""
    program = shutil.which("minio")
    if program is None:
        pytest.skip("no minio on PATH; `make test-all` builds it where Go is")

    def command(port: int, data: Path) -> Sequence[str | Path]:
        # A folder is a bucket to it.
        (data / BUCKET).mkdir(exist_ok=True)
        return (program, "server", "--quiet", "--address", f"127.0.0.1:{port}", data)

    environment = {
        "MINIO_ROOT_USER": KEYS.access,
        "MINIO_ROOT_PASSWORD": KEYS.secret,
        "MINIO_BROWSER": "off",
    }
    with running(command, environment) as server:
        yield server
