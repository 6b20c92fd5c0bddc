"""One class per status code, carrying what the wire carries."""

import copy
import pickle

import pytest

from modelkeep import errors
from modelkeep.errors import Error, FieldViolation, InvalidArgumentError, NotFoundError

CODES = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]


@pytest.mark.parametrize("code", CODES)
def test_every_status_code_has_its_class(code: str) -> None:
    cls = errors.by_code(code)

    assert cls.code == code
    assert cls.__name__ == code.title().replace("_", "") + "Error"
    assert issubclass(cls, Error)
    assert cls.__doc__


@pytest.mark.parametrize("code", ["OK", "", "not_found", "TEAPOT"])
def test_a_code_nobody_knows_is_unknown(code: str) -> None:
    assert errors.by_code(code) is errors.UnknownError


def test_an_error_says_what_it_was_told() -> None:
    error = NotFoundError("RESOURCE_NOT_FOUND", "no version 7", number=7, reason="gone")

    assert str(error) == "no version 7"
    assert error.reason == "RESOURCE_NOT_FOUND"
    assert error.metadata == {"number": "7", "reason": "gone"}
    assert error.fields == ()
    assert error.retry_after_seconds is None


def test_a_field_is_a_violation_with_the_message() -> None:
    error = InvalidArgumentError("NAME_INVALID", "'a b' is not a name", field="asset_id")

    assert error.fields == (FieldViolation("asset_id", "'a b' is not a name"),)
    assert error.metadata == {}


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_crosses_process_boundaries_whole(duplicate: object) -> None:
    error = errors.ResourceExhaustedError(
        "TOO_MANY_CALLS", "later", field="f", retry_after_seconds=0.5, limit=3
    )
    assert callable(duplicate)
    again = duplicate(error)

    assert type(again) is type(error)
    assert str(again) == "later"
    assert vars(again) == vars(error)
