"""What the client's methods share: the wire, the cache, pages, names of versions."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from modelkeep import _convert_values as values
from modelkeep._cache import Cache
from modelkeep._refs import Ref, path_of, selector
from modelkeep._types import Input
from modelkeep._wire import Wire
from modelkeep.errors import AbortedError, InvalidArgumentError
from modelkeep.names import VersionName
from modelkeep.v1 import version_pb2, version_service_pb2

_Result = TypeVar("_Result")

_ATTEMPTS = 10  # at a change that others make at the same time


class Methods:
    """The base of the classes that `Client` is made of."""

    def __init__(self, wire: Wire, cache: Cache) -> None:
        self._wire = wire
        self._cache = cache
        self._people: dict[str, str] = {}  # display names by principal

    @property
    def url(self) -> str:
        """Where the registry is."""
        return self._wire.url

    @property
    def cache(self) -> Cache:
        """What pulls left on this machine: `list()` it, `prune()` it."""
        return self._cache

    def _number(self, ref: Ref) -> VersionName:
        """Find out which version is meant now."""
        one = selector(ref)
        if one.number is not None:
            return VersionName(one.namespace, one.asset, one.number)
        request = version_service_pb2.GetVersionRequest(name=str(one))
        return VersionName.parse(self._wire.call(self._wire.versions.GetVersion, request).name)

    def _input(self, given: Ref | Input) -> version_pb2.Input:
        """Read an input, and find out which version it is."""
        if isinstance(given, str):
            ref, _, role = given.partition("=")
            given = Input(version=ref, role=role)
        elif not isinstance(given, Input):
            given = Input(version=str(self._number(given)))
        role_value = values.role_value(given.role)
        if given.uri:
            return version_pb2.Input(uri=given.uri, digest=given.digest, role=role_value)
        if path_of(given.version):
            raise InvalidArgumentError(
                "REFERENCE_INVALID", f"{given.version}: an input is a whole version", field="inputs"
            )
        return version_pb2.Input(version=str(self._number(given.version)), role=role_value)


def request_id() -> str:
    """Give a write its identity, so that repeating it is safe."""
    return str(uuid.uuid4())


def pages(fetch: Callable[[str], tuple[Sequence[_Result], str]]) -> Iterator[_Result]:
    """Yield the items of pages, each fetched when it is needed: page token → items, next token."""
    token = ""
    while True:
        items, token = fetch(token)
        yield from items
        if not token:
            return


def changed(read_modify_write: Callable[[], _Result]) -> _Result:
    """Do it again when someone else was faster."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return read_modify_write()
        except AbortedError as error:
            if error.reason != "ETAG_MISMATCH":
                raise
    return read_modify_write()
