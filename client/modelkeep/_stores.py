"""Blob stores that links lead to, and which of them are of no use to this process."""

import time
from urllib.parse import urlsplit

from modelkeep._address import is_loopback

LINKED_BYTES = 16 * 1024 * 1024
"""Files from this size on are worth a call and a connection of their own."""

_FORGIVEN_SECONDS = 600.0

_useless: dict[str, float] = {}  # until when not to try again, by host and port


def is_useful(url: str, *, encrypted: bool) -> bool:
    """Tell whether to try a link; one from a registry over TLS leads nowhere in plain text.

    But for this machine itself.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_private = parts.scheme == "https" or is_loopback(parts.hostname or "")
    is_fit = parts.scheme in ("http", "https") and (is_private or not encrypted)
    return is_fit and time.monotonic() >= _useless.get(parts.netloc, 0.0)


def give_up(url: str) -> None:
    """Ask this store no more for a while: the server has to be enough."""
    _useless[urlsplit(url).netloc] = time.monotonic() + _FORGIVEN_SECONDS
