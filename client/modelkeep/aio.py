"""The client for `async` code: the same names, awaited.

    async with modelkeep.aio.Client() as registry:
        version = await registry.push("fraud/churn", "out/", metrics={"auc": 0.93})
        async for event in registry.watch("fraud/churn"):
            print(event.act)

It runs the sync client in threads of its own. What is an iterator there is an async iterator
here, read no further than it's asked. To cancel a task ends its waiting at once; a push or pull
under way goes on in its thread until the client is closed.
"""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from modelkeep import _client
from modelkeep._cache import Cache
from modelkeep._types import Event
from modelkeep._watch import Watch

_P = ParamSpec("_P")
_R = TypeVar("_R")
_THREADS = 16


def _awaited(
    method: Callable[Concatenate[_client.Client, _P], _R],
) -> Callable[Concatenate["Client", _P], Awaitable[_R]]:
    """Make an async method of a sync one."""

    @functools.wraps(method)
    async def call(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await self._run(functools.partial(method, self._sync, *args, **kwargs))

    return call


def _listed(
    method: Callable[Concatenate[_client.Client, _P], Iterator[_R]],
) -> Callable[Concatenate["Client", _P], AsyncIterator[_R]]:
    """Make an async iterator of a sync one."""

    @functools.wraps(method)
    async def items(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[_R]:
        items = await self._run(functools.partial(method, self._sync, *args, **kwargs))
        while batch := await self._run(functools.partial(_next, items)):
            yield batch[0]

    return items


def _watched(
    method: Callable[Concatenate[_client.Client, _P], Watch],
) -> Callable[Concatenate["Client", _P], AsyncIterator[Event]]:
    """Make an async watch of a sync one; it has a thread of its own, as it waits for long."""

    @functools.wraps(method)
    async def events(
        self: "Client", /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AsyncIterator[Event]:
        watch = method(self._sync, *args, **kwargs)
        thread = ThreadPoolExecutor(1, "modelkeep-watch")
        try:
            loop = asyncio.get_running_loop()
            while batch := await loop.run_in_executor(thread, _next, watch):
                yield batch[0]
        finally:
            watch.close()
            thread.shutdown(wait=False)

    return events


def _next(items: Iterator[_R]) -> list[_R]:
    """Give the next item, or an empty list; `StopIteration` can't pass through a future."""
    for item in items:
        return [item]
    return []


class Client:
    """`modelkeep.Client` with the same methods, to be awaited; use it in an `async with` block."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        user: str | None = None,
        timeout: float = 60.0,  # of each call, as in the sync client
    ) -> None:
        self._sync = _client.Client(url, token=token, cache=cache, user=user, timeout=timeout)
        self._threads = ThreadPoolExecutor(_THREADS, "modelkeep-aio")

    @property
    def url(self) -> str:
        """Where the registry is."""
        return self._sync.url

    @property
    def cache(self) -> Cache:
        """What pulls left on this machine; its methods are not async."""
        return self._sync.cache

    async def close(self) -> None:
        """End what is under way and let go of the connections."""
        self._sync.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, function: Callable[[], _R]) -> _R:
        run = functools.partial(copy_context().run, function)
        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    push = _awaited(_client.Client.push)
    pull = _awaited(_client.Client.pull)
    files = _listed(_client.Client.files)
    manifest = _awaited(_client.Client.manifest)

    version = _awaited(_client.Client.version)
    versions = _listed(_client.Client.versions)
    recipe = _awaited(_client.Client.recipe)
    diff = _awaited(_client.Client.diff)
    restore = _awaited(_client.Client.restore)
    update = _awaited(_client.Client.update)
    delete = _awaited(_client.Client.delete)
    undelete = _awaited(_client.Client.undelete)
    purge = _awaited(_client.Client.purge)

    alias = _awaited(_client.Client.alias)
    aliases = _listed(_client.Client.aliases)
    set_alias = _awaited(_client.Client.set_alias)
    remove_alias = _awaited(_client.Client.remove_alias)
    alias_changes = _listed(_client.Client.alias_changes)

    asset = _awaited(_client.Client.asset)
    assets = _listed(_client.Client.assets)
    create_asset = _awaited(_client.Client.create_asset)
    update_asset = _awaited(_client.Client.update_asset)
    delete_asset = _awaited(_client.Client.delete_asset)
    undelete_asset = _awaited(_client.Client.undelete_asset)

    namespace = _awaited(_client.Client.namespace)
    namespaces = _listed(_client.Client.namespaces)
    create_namespace = _awaited(_client.Client.create_namespace)
    update_namespace = _awaited(_client.Client.update_namespace)
    principal = _awaited(_client.Client.principal)
    server_info = _awaited(_client.Client.server_info)

    collect_garbage = _awaited(_client.Client.collect_garbage)
    verify_registry = _awaited(_client.Client.verify_registry)
    operation = _awaited(_client.Client.operation)
    operations = _listed(_client.Client.operations)
    cancel_operation = _awaited(_client.Client.cancel_operation)
    wait = _awaited(_client.Client.wait)

    evaluate = _awaited(_client.Client.evaluate)
    evaluations = _listed(_client.Client.evaluations)

    checkpoint = _awaited(_client.Client.checkpoint)
    prove = _awaited(_client.Client.prove)
    goes_on_from = _awaited(_client.Client.goes_on_from)
    leaves = _listed(_client.Client.leaves)

    history = _listed(_client.Client.history)
    watch = _watched(_client.Client.watch)
