"""gRPC's errors as ours."""

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from modelkeep._address import Address
from modelkeep.errors import Error, FieldViolation, UnavailableError, by_code

_DETAILS = "grpc-status-details-bin"


def to_error(problem: grpc.RpcError, address: Address) -> Error:
    """Give the error that the server raised, as far as its answer tells it."""
    call: grpc.Call = problem  # type: ignore[assignment]  # every RpcError of a call is one
    code, text = call.code().name, call.details() or ""
    status = _status(call)
    if status is None:
        return _without_details(code, text, address)
    error = _from_status(code, status)
    error.__cause__ = None
    return error


def _status(call: grpc.Call) -> status_pb2.Status | None:
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _from_status(code: str, status: status_pb2.Status) -> Error:
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        for message in (info, retry, bad):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    delay = (
        retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    )
    error = by_code(code)(info.reason or code, status.message, retry_after_seconds=delay)
    error.metadata = dict(info.metadata)
    error.fields = tuple(
        FieldViolation(item.field, item.description) for item in bad.field_violations
    )
    return error


def _without_details(code: str, text: str, address: Address) -> Error:
    """Make the best of an answer that isn't from modelkeep, or of none."""
    if code != "UNAVAILABLE":
        return by_code(code)(code, text or f"the registry at {address} said {code} and no more")
    why = text.rpartition("last error: ")[2]
    advice = "is it running (`modelkeep serve`), and is this the right address (MODELKEEP_URL)?"
    if "WRONG_VERSION_NUMBER" in why:
        why, advice = "it doesn't speak TLS", f"write http://{address} if it needn't"
    return UnavailableError(
        "SERVER_UNREACHABLE",
        f"no registry can be reached at {address}: {why.rpartition(': ')[2].rstrip(']')}; {advice}",
        address=address,
    )
