"""The async client is the sync one, awaited."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import get_origin

import pytest
from tests.client.conftest import Folder, content
from tests.running import RunningServer

import modelkeep
from modelkeep import aio
from modelkeep._watch import Watch


def _public(cls: type) -> dict[str, object]:
    return {name: member for name, member in inspect.getmembers(cls) if not name.startswith("_")}


def test_both_clients_have_the_same_names() -> None:
    assert set(_public(aio.Client)) == set(_public(modelkeep.Client))


@pytest.mark.parametrize("name", [name for name in _public(aio.Client) if name != "close"])
def test_both_clients_have_the_same_signatures(name: str) -> None:
    ours, theirs = getattr(aio.Client, name), getattr(modelkeep.Client, name)

    if not callable(theirs):
        return
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert ours.__doc__ == theirs.__doc__
    answer = theirs.__annotations__["return"]
    is_list = answer is Watch or get_origin(answer) is Iterator
    assert inspect.isasyncgenfunction(ours) == is_list
    assert inspect.iscoroutinefunction(ours) != is_list


def test_both_clients_are_made_in_the_same_way() -> None:
    assert inspect.signature(aio.Client) == inspect.signature(modelkeep.Client)


def test_the_main_job_can_be_awaited(server: RunningServer, folder: Folder, tmp_path: Path) -> None:
    out = folder("out", {"m": b"1"})

    async def main() -> None:
        async with aio.Client(server.address, cache=tmp_path / "cache") as registry:
            version = await registry.push("churn", out, metrics={"auc": 0.9})
            await registry.set_alias(version, "champion")
            assert content(await registry.pull("churn@champion")) == {"m": b"1"}
            assert [one.number async for one in registry.versions("churn")] == [1]
            assert [one.act async for one in registry.history("churn")] == [
                "alias.set",
                "version.created",
            ]
            with pytest.raises(modelkeep.NotFoundError):
                await registry.version("nothing")

    asyncio.run(main())


def test_calls_run_at_the_same_time(server: RunningServer, folder: Folder, tmp_path: Path) -> None:
    outs = [folder(f"out{i}", {"m": bytes([i])}) for i in range(10)]

    async def main() -> list[int]:
        async with aio.Client(server.address, cache=tmp_path / "cache") as registry:
            versions = await asyncio.gather(*(registry.push("churn", out) for out in outs))
            return sorted(version.number for version in versions)

    assert asyncio.run(main()) == list(range(1, 11))


def test_a_watch_ends_with_its_task(server: RunningServer, folder: Folder, tmp_path: Path) -> None:
    out = folder("out", {"m": b"1"})

    async def main() -> list[str]:
        acts: list[str] = []

        async def look(registry: aio.Client) -> None:
            async for event in registry.watch("churn"):
                acts.append(event.act)

        async with aio.Client(server.address, cache=tmp_path / "cache") as registry:
            task = asyncio.create_task(look(registry))
            await asyncio.sleep(0.5)
            await registry.push("churn", out)
            while not acts:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return acts

    assert asyncio.run(asyncio.wait_for(main(), 30)) == ["version.created"]


def test_it_is_typed_like_the_sync_one(server: RunningServer) -> None:
    client = aio.Client(server.address)

    async def check() -> None:
        info: Awaitable[modelkeep.ServerInfo] = client.server_info()
        versions: AsyncIterator[modelkeep.Version] = client.versions("churn")
        assert (await info).open
        with pytest.raises(modelkeep.NotFoundError):
            await anext(versions)
        with pytest.raises(TypeError):
            await client.version()  # type: ignore[call-arg]  # mypy knows the signature
        await client.close()

    asyncio.run(check())
