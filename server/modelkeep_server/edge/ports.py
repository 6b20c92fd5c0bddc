"""Addresses: one that is taken is refused, and one may be shared by processes of one server.

A port is shared by SO_REUSEPORT: the kernel spreads connections over all that listen there. Any
program of the same user may join them, so it is made sure first that nobody listens.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from modelkeep_server.values.start import StartError


@contextmanager
def told(host: str, port: int) -> Iterator[None]:
    """Turn what goes wrong with an address into our own words."""
    try:
        yield
    except (OSError, RuntimeError) as problem:
        why = getattr(problem, "strerror", None) or "the address can't be used"
        raise StartError(
            f"can't listen on {shown(host, port)}: {why}; choose another address with --listen"
        ) from None


def shown(host: str, port: int) -> str:
    """Write an address as gRPC reads it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_free(host: str, port: int) -> None:
    """Raise `OSError` where the address can't be had; grpc would say it to its own log alone."""
    for family, address in _addresses(host, port):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)


@contextmanager
def held(host: str, port: int) -> Iterator[int]:
    """Keep an address for processes that share it; yields the port, which for 0 is a free one.

    Nothing listens at what is held, so no connection comes there.
    """
    with ExitStack() as sockets:
        with told(host, port):
            check_free(host, port)
            for family, address in _addresses(host, port):
                hold = sockets.enter_context(socket.socket(family, socket.SOCK_STREAM))
                hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                # What connections of an earlier server leave behind must not be in the way...
                hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                hold.bind((address[0], port, *address[2:]))
                # ... but this must be in the way of another server's check.
                hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
                port = hold.getsockname()[1]
        yield port


def _addresses(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, Any]]:
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        yield family, address
