"""modelkeep, an open model registry: `with modelkeep.Client() as registry: …`.

The same for `async` code is in `modelkeep.aio`, and the raw messages and stubs in `modelkeep.v1`.
"""

import importlib
from typing import TYPE_CHECKING

from modelkeep._recipe import CodeRevision, Environment, Hardware, Package, Recipe
from modelkeep._types import (
    Alias,
    AliasChange,
    Asset,
    CacheEntry,
    Change,
    Diff,
    Evaluation,
    Event,
    Field,
    File,
    FileChange,
    Finding,
    Flavor,
    InclusionProof,
    Input,
    Namespace,
    Operation,
    Principal,
    Progress,
    ServerInfo,
    Signature,
    SignedCheckpoint,
    ValueChange,
    Version,
)
from modelkeep.errors import (
    AbortedError,
    AlreadyExistsError,
    CancelledError,
    DataLossError,
    DeadlineExceededError,
    Error,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from modelkeep.names import Reference

if TYPE_CHECKING:
    from modelkeep._cache import Cache
    from modelkeep._client import Client
    from modelkeep.digests import recipe_digest, record_digest

__all__ = [
    "AbortedError",
    "Alias",
    "AliasChange",
    "AlreadyExistsError",
    "Asset",
    "Cache",
    "CacheEntry",
    "CancelledError",
    "Change",
    "Client",
    "CodeRevision",
    "DataLossError",
    "DeadlineExceededError",
    "Diff",
    "Environment",
    "Error",
    "Evaluation",
    "Event",
    "FailedPreconditionError",
    "Field",
    "FieldViolation",
    "File",
    "FileChange",
    "Finding",
    "Flavor",
    "Hardware",
    "InclusionProof",
    "Input",
    "InternalError",
    "InvalidArgumentError",
    "Namespace",
    "NotFoundError",
    "Operation",
    "OutOfRangeError",
    "Package",
    "PermissionDeniedError",
    "Principal",
    "Progress",
    "Recipe",
    "Reference",
    "ResourceExhaustedError",
    "ServerInfo",
    "Signature",
    "SignedCheckpoint",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "ValueChange",
    "Version",
    "recipe_digest",
    "record_digest",
]

# Loaded when used: they need grpc and protobuf, which take most of the time.
_HOMES = {
    "Cache": "_cache",
    "Client": "_client",
    "recipe_digest": "digests",
    "record_digest": "digests",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
