"""Errors on the wire: `google.rpc.Status` with one `ErrorInfo`, and never an exception's text.

* An `Error` goes to the caller as it is, shortened so that no status is lost: clients drop an
  answer whose headers pass 8 KiB.
* Anything else is a fault: it is logged with an id and its traceback, counted, and answered as
  `INTERNAL_ERROR` with that id.
"""

import re
import secrets
from collections.abc import Callable
from math import modf

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from modelkeep.errors import Error, InternalError
from modelkeep_server.edge.logs import Logger

DOMAIN = "modelkeep"
DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_LENGTH = 600
MAX_STATUS_BYTES = 4096
MAX_FIELDS = 20
CUT = "..."

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def reporter(
    log: Logger, count: Callable[[], None]
) -> Callable[[str, BaseException], InternalError]:
    """Give what turns a fault of the method named into an answer."""

    def report(method: str, fault: BaseException) -> InternalError:
        fault_id = secrets.token_hex(8)
        count()
        log.error("internal error", id=fault_id, method=method, exc_info=fault)
        return InternalError("INTERNAL_ERROR", f"internal error, id {fault_id}", id=fault_id)

    return report


def to_status(error: Error) -> Status:
    """Say an error on the wire."""
    message = clean(str(error), MAX_MESSAGE_LENGTH)
    longest = 2048
    while True:
        status = Status(
            code=Code.Value(error.code), message=message, details=_details(error, longest)
        )
        if status.ByteSize() <= MAX_STATUS_BYTES or longest < len(CUT):
            return status
        longest //= 2


def grpc_code(error: Error) -> grpc.StatusCode:
    """Give grpc's own name of an error's status code."""
    return grpc.StatusCode[error.code]


def clean(text: str, longest: int) -> str:
    """Make a text fit for a header and a terminal."""
    text = _CONTROL.sub(" ", text).encode(errors="replace").decode()
    return text if len(text) <= longest else text[: max(longest - len(CUT), 0)] + CUT


def _details(error: Error, longest: int) -> list[Any]:
    metadata = {key: clean(value, longest) for key, value in error.metadata.items()}
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.fields:
        details.append(
            BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(
                        field=clean(violation.field, min(longest, 512)),
                        description=clean(violation.description, min(longest, MAX_MESSAGE_LENGTH)),
                        reason=error.reason,
                    )
                    for violation in error.fields[:MAX_FIELDS]
                ]
            )
        )
    if error.retry_after_seconds is not None:
        part, whole = modf(error.retry_after_seconds)
        delay = Duration(seconds=int(whole), nanos=int(part * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    return [_packed(detail) for detail in details]


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
