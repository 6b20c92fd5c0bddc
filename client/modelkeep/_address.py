"""Where the registry is, and whether the way there is encrypted."""

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from modelkeep.errors import InvalidArgumentError
from modelkeep.names import shown

_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_PORTS = {"https": 443, "http": 80, "": 50051}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `HOST[:PORT]`, `https://HOST[:PORT]` or `http://HOST[:PORT]`.

        A bare address is plain on this machine and TLS anywhere else.
        """
        match = _URL.fullmatch(url.strip())
        scheme = (match["scheme"] or "").lower() if match else ""
        port = int((match and match["port"]) or _PORTS.get(scheme, 0))
        if match is None or scheme not in _PORTS or not 0 < port < 2**16:
            raise InvalidArgumentError(
                "URL_INVALID",
                f"{shown(url)} is not an address: HOST:PORT, https://HOST[:PORT] or "
                "http://HOST[:PORT]",
                field="url",
            )
        host = match["host"]
        return cls(host, port, scheme == "https" or (not scheme and not _is_loopback(host)))

    @property
    def is_loopback(self) -> bool:
        """Whether it's this machine, by name or number; names are not looked up."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def system_roots() -> bytes | None:
    """Give the certificates that this machine trusts (`SSL_CERT_FILE` first), or gRPC's own."""
    usual = ssl.get_default_verify_paths().cafile
    for path in (os.environ.get("SSL_CERT_FILE"), usual, *_ROOTS):
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return None
