"""Channels to a server, and who they say they are."""

import getpass
import json
from urllib.parse import quote

import grpc

from modelkeep._address import Address, system_roots
from modelkeep.errors import InvalidArgumentError

Metadata = tuple[tuple[str, str], ...]

# Who reads them knows where to go on. Left to gRPC's retries, some hung when a server stopped.
_STREAMS = ("UploadBlobs", "DownloadFiles", "SealManifest", "WatchEvents")
_SERVICE_CONFIG = {
    # Where there are several servers: each call goes to the next of those that can be reached.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                # With the second gRPC answers what comes in a server's last moment.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        },
        {
            "name": [
                {"service": f"modelkeep.v1.{service}", "method": method}
                for service in ("ArtifactService", "EventService")
                for method in _STREAMS
            ]
        },
    ],
}
_OPTIONS = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.primary_user_agent", "modelkeep-python"),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own
    ("grpc.keepalive_time_ms", 30_000),  # finds a dead way while a stream is open
    ("grpc.keepalive_timeout_ms", 20_000),
]


def open_channel(address: Address) -> grpc.Channel:
    """Give a channel with a connection of its own, made when it's first used."""
    options = list(_OPTIONS)
    if address.others:  # all have the certificate of the first
        options.append(("grpc.default_authority", f"{address.host}:{address.port}"))
    if address.tls:
        credentials = grpc.ssl_channel_credentials(system_roots())
        return grpc.secure_channel(address.target, credentials, options=options)
    return grpc.insecure_channel(address.target, options=options)


def caller(address: Address, token: str, user: str | None) -> Metadata:
    """Give what each call says about who makes it; `user` is by default the one logged in here."""
    name = _printable((_login() if user is None else user).strip())
    sent = [("modelkeep-user", name)] if name else []
    if token := token.strip():  # a file that it came from ends with a line feed
        if not (token.isascii() and token.isprintable()):
            raise InvalidArgumentError(
                "TOKEN_INVALID",
                "the token (MODELKEEP_TOKEN) has characters that no token has",
                field="token",
            )
        if not (address.tls or address.is_loopback):
            raise InvalidArgumentError(
                "TOKEN_NOT_ENCRYPTED",
                f"the token is not sent to {address} in plain text; use https://{address}",
                field="url",
                address=address,
            )
        sent.append(("authorization", f"Bearer {token}"))
    return tuple(sent)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return ""


def _printable(text: str) -> str:
    """Write as metadata can be: other than ASCII percent-encoded, as in URLs."""
    return quote(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}")
