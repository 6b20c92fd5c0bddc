"""The HTTP connections to an S3-compatible store.

A client's own defaults ask a dead endpoint for a minute. Here a question that gets no answer ends
after 20 seconds, and one that is refused at once after less than one.
"""

import io
import os

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout

# A body goes in pieces of this size, and each must have left within the time to connect.
_PIECE = 256 * 1024
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
# Streams that run at once, of uploads and downloads, and some for packs.
_CONNECTIONS = 128
_PASSING = (500, 502, 503, 504)


class S3Pool(PoolManager):
    """Connections that are kept, with an end to every wait."""

    def __init__(self) -> None:
        """Open none yet."""
        super().__init__(
            maxsize=_CONNECTIONS,
            blocksize=_PIECE,
            timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            retries=Retry(
                total=2,
                connect=1,
                read=1,
                redirect=0,
                backoff_factor=0.1,
                status_forcelist=_PASSING,
                # Everything that is asked may be asked twice; see `S3StagedBlob.publish`.
                allowed_methods=None,
                respect_retry_after_header=False,
                raise_on_status=False,
            ),
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )

    def urlopen(  # type: ignore[override]  # as urllib3 has it
        self, method: str, url: str, redirect: bool = True, **options: object
    ) -> BaseHTTPResponse:
        """Ask, with a body in pieces: all at once it would have to leave within seconds."""
        body = options.get("body")
        if isinstance(body, bytes | bytearray) and len(body) > _PIECE:
            options["body"] = io.BytesIO(body)
        return super().urlopen(method, url, redirect, **options)
