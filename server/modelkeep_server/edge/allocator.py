"""The C allocator is part of the data path.

With glibc's defaults each message of 1 MiB goes back to the kernel and is faulted in again, which
costs four times the CPU of everything else in a download. And glibc gives many threads arenas of
their own, each of which keeps what it once needed: with four uploads and four downloads the server
held 280 to 510 MiB; docs/decisions/0009 has what one arena changed.
"""

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MIB = 1024 * 1024


def keep_memory() -> None:
    """Let glibc keep freed memory of the size of messages; elsewhere do nothing."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_M_TRIM_THRESHOLD, 128 * _MIB)
