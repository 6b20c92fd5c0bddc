"""Where the registry is, and whether the way there is encrypted."""

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from modelkeep.errors import InvalidArgumentError
from modelkeep.names import shown

_URL = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<servers>[^/]*)/?")
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_PORTS = {"https": 443, "http": 80, "": 50051}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, and whether TLS is spoken there.

    A host may be a name with the addresses of several servers of the same registry; or `others`
    are the addresses of further ones, each a host and port.
    """

    host: str
    port: int
    tls: bool
    others: tuple[str, ...] = ()

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `HOST[:PORT]`, `https://HOST[:PORT]` or `http://HOST[:PORT]`.

        A bare address is plain on this machine and TLS anywhere else. Several servers without a
        name in common are `IP:PORT,IP:PORT`.
        """
        match = _URL.fullmatch(url.strip())
        scheme = (match["scheme"] or "").lower() if match else "?"
        servers = _servers(match["servers"], _PORTS[scheme]) if match and scheme in _PORTS else []
        if not servers:
            raise InvalidArgumentError(
                "URL_INVALID",
                f"{shown(url)} is not an address: HOST:PORT, https://HOST[:PORT], "
                "http://HOST[:PORT], or IP:PORT,IP:PORT of several servers",
                field="url",
            )
        tls = scheme == "https" or not (scheme or all(is_loopback(host) for host, _ in servers))
        (host, port), *others = servers
        return cls(host, port, tls, tuple(f"{host}:{port}" for host, port in others))

    @property
    def is_loopback(self) -> bool:
        """Whether it's this machine, by name or number; names are not looked up."""
        return all(is_loopback(one.rpartition(":")[0]) for one in str(self).split(","))

    @property
    def target(self) -> str:
        """Say it as gRPC reads it."""
        if not self.others:
            return str(self)
        return f"ipv{_ip_version(self.host)}:{self}"

    def __str__(self) -> str:
        return ",".join((f"{self.host}:{self.port}", *self.others))


def _servers(text: str, usual_port: int) -> list[tuple[str, int]]:
    """Read the hosts and ports of one server, or of several by numbers; nothing if they aren't."""
    matches = [_SERVER.fullmatch(one.strip()) for one in text.split(",")]
    servers = [(one["host"], int(one["port"] or usual_port)) for one in matches if one]
    kinds = {_ip_version(host) for host, _ in servers}
    well = len(servers) == len(matches) and all(0 < port < 2**16 for _, port in servers)
    return servers if well and (len(servers) == 1 or len(kinds - {0}) == len(kinds) == 1) else []


def _ip_version(host: str) -> int:
    """Tell whether a host is a number of IPv4 or of IPv6; 0 for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        return 0


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by name or number; names are not looked up."""
    if _ip_version(host):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host.lower() == "localhost"


def system_roots() -> bytes | None:
    """Give the certificates that this machine trusts (`SSL_CERT_FILE` first), or gRPC's own."""
    usual = ssl.get_default_verify_paths().cafile
    for path in (os.environ.get("SSL_CERT_FILE"), usual, *_ROOTS):
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return None
