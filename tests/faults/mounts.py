"""What a disk that fails needs of the machine, and how to be rid of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def need_fuse() -> None:
    """Skip a test where file systems of our own can't be mounted."""
    if sys.platform != "linux" or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("a disk that fails needs Linux, /dev/fuse and the right to use it")
    if not any(Path(path, "fusermount3").exists() for path in os.get_exec_path()):
        pytest.skip("a disk that fails needs fusermount3: apt-get install fuse3")


def unmount(mount: str | Path) -> None:
    """Take a mount away, whatever is still open in it."""
    command = ["fusermount3", "-u", "-z", "-q", str(mount)]
    subprocess.run(command, capture_output=True, check=False)
