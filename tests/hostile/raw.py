"""HTTP/2 as no gRPC library would send it: any headers, any bytes, in any order."""

import socket
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import grpc
import h2.config
import h2.connection
import h2.events
from google.rpc.status_pb2 import Status
from h2.errors import ErrorCodes
from tests.services.wire import refusal_of

CODES = [code.name for code in sorted(grpc.StatusCode, key=lambda code: code.value[0])]

Headers = list[tuple[str, str]]


@dataclass
class Outcome:
    """How a stream ended: grpc's code, or `HTTP {status}`, or `RESET {name}`, or `GONE`."""

    ending: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    received: int = 0

    @property
    def reason(self) -> str:
        """The reason of an error; empty where none was given."""
        details = b64decode(self.headers.get("grpc-status-details-bin", "") + "==")
        return refusal_of(self.ending, Status.FromString(details)).reason


def headers(path: str, **changes: str) -> Headers:
    """Give a call's headers, some of them changed (`_` for `-`) or, where empty, left out."""
    usual = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    for name, value in changes.items():
        usual[f":{name}" if name in ("method", "scheme", "path") else name.replace("_", "-")] = (
            value
        )
    return [(name, value) for name, value in usual.items() if value]


def frame(message: bytes, compressed: int = 0) -> bytes:
    """Put grpc's five bytes before a message."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


class RawConnection:
    """One connection; streams on it are opened, written, reset and waited for one by one."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        config = h2.config.H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.http = h2.connection.H2Connection(config)
        self.gone = False
        self.outcomes: dict[int, Outcome] = {}
        self.http.initiate_connection()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def open(self, with_headers: Headers, *, end: bool = False) -> int:
        """Begin a stream."""
        stream: int = self.http.get_next_available_stream_id()
        self.http.send_headers(stream, with_headers, end_stream=end)
        self.outcomes[stream] = Outcome()
        self.flush()
        return stream

    def write(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send bytes on a stream, as fast as they are taken; what is left at its end is dropped."""
        rest = memoryview(data)
        while rest and not self._ended(stream):
            window = min(self.http.local_flow_control_window(stream), 16_384, len(rest))
            if not window:
                self.listen()
                continue
            self.http.send_data(stream, bytes(rest[:window]))
            rest = rest[window:]
            self.flush()
        if end and not self._ended(stream):
            self.http.end_stream(stream)
            self.flush()

    def reset(self, stream: int) -> None:
        """Cancel a stream."""
        self.http.reset_stream(stream, ErrorCodes.CANCEL)
        self.flush()

    def outcome(self, stream: int, seconds: float = 20) -> Outcome:
        """Wait for a stream's end."""
        end = time.monotonic() + seconds
        while not self._ended(stream) and time.monotonic() < end:
            self.listen()
        return self.outcomes[stream]

    def flush(self) -> None:
        """Send what is to be sent."""
        try:
            self._socket.sendall(self.http.data_to_send())
        except OSError:
            self.gone = True

    def listen(self, seconds: float = 0.5) -> None:
        """Take what came, waiting for it so long."""
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(1 << 20)
        except (TimeoutError, BlockingIOError):
            return
        except OSError:
            data = b""
        finally:
            self._socket.settimeout(20)
        if not data:
            self.gone = True
            return
        for event in self.http.receive_data(data):
            self._take(event)
        self.flush()

    def _ended(self, stream: int) -> bool:
        outcome = self.outcomes[stream]
        if self.gone and not outcome.ending:
            outcome.ending = "GONE"
        return bool(outcome.ending)

    def _take(self, event: h2.events.Event) -> None:
        outcome = self.outcomes.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.gone = True
        if outcome is None:
            return
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            outcome.headers |= _texts(event.headers or ())
        elif isinstance(event, h2.events.DataReceived):
            outcome.received += len(event.data or b"")
            self.http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            name = ErrorCodes(event.error_code or 0).name
            outcome.ending = outcome.ending or f"RESET {name}"
        elif isinstance(event, h2.events.StreamEnded):
            outcome.ending = _ending(outcome.headers)


@contextmanager
def raw_call(address: str, with_headers: Headers, data: bytes = b"") -> Iterator[Outcome]:
    """Make one call on a connection of its own, and give its outcome while that stands."""
    with RawConnection(address) as connection:
        stream = connection.open(with_headers)
        connection.write(stream, data, end=True)
        yield connection.outcome(stream)


def _texts(pairs: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _ending(given: dict[str, str]) -> str:
    code = given.get("grpc-status", "")
    return CODES[int(code)] if code.isdigit() else f"HTTP {given.get(':status')}"
