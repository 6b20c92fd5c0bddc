"""What can go wrong: one class per gRPC status code, the same on both sides of the wire.

The server raises them, the edge puts them on the wire, the SDK raises them again. Branch on the
class and on `reason`, never on the text.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that is wrong, and how."""

    field: str
    description: str


class Error(Exception):
    """What modelkeep refused or failed to do; `str(error)` is for people.

    `metadata` holds the values that the message shows, and `fields` what is wrong with the
    request's fields. `field` adds one violation, described by the message.
    `retry_after_seconds` is set where the server knows when to try again.
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        reason: str,
        message: str,
        /,
        *,
        field: str | None = None,
        retry_after_seconds: float | None = None,
        **metadata: object,
    ) -> None:
        super().__init__(reason, message)  # both, because pickle calls the class with `args`
        self.reason = reason
        self.metadata = {key: str(value) for key, value in metadata.items()}
        self.fields: tuple[FieldViolation, ...] = (
            () if field is None else (FieldViolation(field, message),)
        )
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return str(self.args[1])


class InvalidArgumentError(Error):
    """The request is wrong whatever the registry's state; `fields` says where."""

    code = "INVALID_ARGUMENT"


class NotFoundError(Error):
    """It isn't there, or the caller may not see it."""

    code = "NOT_FOUND"


class AlreadyExistsError(Error):
    """The name is taken."""

    code = "ALREADY_EXISTS"


class FailedPreconditionError(Error):
    """The request is fine; the registry's state is not, yet."""

    code = "FAILED_PRECONDITION"


class AbortedError(Error):
    """Someone else was faster: read again, then decide again."""

    code = "ABORTED"


class PermissionDeniedError(Error):
    """The caller is known, and may not do this."""

    code = "PERMISSION_DENIED"


class UnauthenticatedError(Error):
    """The caller isn't known: no credentials, or bad ones."""

    code = "UNAUTHENTICATED"


class ResourceExhaustedError(Error):
    """A limit or a quota is reached; `retry_after_seconds` where waiting helps."""

    code = "RESOURCE_EXHAUSTED"


class UnavailableError(Error):
    """The server cannot be reached or cannot answer now; the same call may succeed later."""

    code = "UNAVAILABLE"


class DeadlineExceededError(Error):
    """The time allowed was over first; whether it was done is not known."""

    code = "DEADLINE_EXCEEDED"


class CancelledError(Error):
    """The caller gave up."""

    code = "CANCELLED"


class OutOfRangeError(Error):
    """Past the end of what there is."""

    code = "OUT_OF_RANGE"


class DataLossError(Error):
    """Stored or transferred bytes are not what they should be."""

    code = "DATA_LOSS"


class InternalError(Error):
    """A fault of modelkeep; the message has the id under which the server logged it."""

    code = "INTERNAL"


class UnimplementedError(Error):
    """The server doesn't know the method: it is older than the SDK, or a part is off."""

    code = "UNIMPLEMENTED"


class UnknownError(Error):
    """An answer that says no more, or a status code that this SDK doesn't know."""

    code = "UNKNOWN"


_CLASSES = {cls.code: cls for cls in Error.__subclasses__()}


def by_code(name: str) -> type[Error]:
    """Give the class of a gRPC status code's name; `UnknownError` for any other."""
    return _CLASSES.get(name, UnknownError)
