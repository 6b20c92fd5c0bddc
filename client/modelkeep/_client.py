"""The registry, as code sees it: one class, its methods in a file per subject."""

import os
from types import TracebackType
from typing import Self

from modelkeep._cache import Cache
from modelkeep._client_aliases import AliasMethods
from modelkeep._client_assets import AssetMethods
from modelkeep._client_audit import AuditMethods
from modelkeep._client_bytes import ByteMethods
from modelkeep._client_log import LogMethods
from modelkeep._client_monitoring import MonitoringMethods
from modelkeep._client_namespaces import NamespaceMethods
from modelkeep._client_operations import OperationMethods
from modelkeep._client_versions import VersionMethods
from modelkeep._wire import Wire
from modelkeep.errors import InvalidArgumentError
from modelkeep.names import shown

DEFAULT_URL = "127.0.0.1:50051"


class Client(
    ByteMethods,
    VersionMethods,
    AliasMethods,
    AssetMethods,
    NamespaceMethods,
    MonitoringMethods,
    LogMethods,
    AuditMethods,
    OperationMethods,
):
    """A registry, in a `with` block or until `close()`; safe to use from many threads.

    `url` (or `MODELKEEP_URL`, or `127.0.0.1:50051`) is `HOST:PORT`, `https://HOST[:PORT]` or
    `http://HOST[:PORT]`. `https` means TLS, and so does a bare address that isn't this machine's;
    `http` means none. Where a registry has several servers, `HOST` is a name with the addresses of
    all, or they are `IP:PORT,IP:PORT`; calls go to those that answer, in turn. `token` (or
    `MODELKEEP_TOKEN`) is never sent in plain text to another host. `cache` (or `MODELKEEP_CACHE`,
    or `~/.cache/modelkeep`) is a folder that any number of processes may share. `user` is the
    name that a server running open writes down, by default the one logged in here. A call takes
    at most `timeout` seconds; a transfer goes on for as long as it moves. Where the registry gives
    links, large files go to its store and come from it directly, unless `MODELKEEP_LINKS` is `off`;
    over TLS, if the registry is.

    Nothing is asked before a method needs it. Methods raise the errors of `modelkeep.errors`:
    branch on the class and on `reason`. What may be retried was retried.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        user: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        super().__init__(
            Wire(
                url or os.environ.get("MODELKEEP_URL") or DEFAULT_URL,
                token=token or os.environ.get("MODELKEEP_TOKEN") or "",
                user=user,
                timeout_seconds=timeout,
                links=_uses_links(os.environ.get("MODELKEEP_LINKS") or "auto"),
            ),
            Cache(cache),
        )

    def close(self) -> None:
        """End what is under way and let go of the connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _uses_links(word: str) -> bool:
    if word not in ("auto", "off"):
        raise InvalidArgumentError(
            "FIELD_INVALID", f"MODELKEEP_LINKS is {shown(word)}; it must be auto or off"
        )
    return word == "auto"
