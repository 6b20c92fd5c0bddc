"""Ports for programs that can't be told to take any free one."""

import socket


def free_port() -> int:
    """Name a port of loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
