"""Clients that write until the server is gone, and know what was acknowledged to them.

Each has an asset of its own, so after its last acknowledged act at most one more can have been
made: the one under way at the end.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import grpc
from tests.services.wire import MIB, Registry, digest, download, status

GONE = {"UNAVAILABLE", "CANCELLED"}
"""How calls end whose server is killed."""


@dataclass
class Writer:
    """A client, what it was told, and what it asked last."""

    asset: str
    random: Random
    versions: dict[int, dict[str, str]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    deleted: dict[int, bool] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    asked: tuple[str, object] = ("nothing", None)
    problem: BaseException | None = None

    def write(self, address: str) -> None:
        """Act until the server is gone."""
        with grpc.insecure_channel(address) as channel:
            registry = Registry(channel, "default", user=self.asset)
            try:
                while True:
                    self._act(registry)
            except grpc.RpcError as error:
                if status(error).code not in GONE:
                    self.problem = error
            except BaseException as problem:
                self.problem = problem

    def lost(self, registry: Registry) -> list[str]:
        """Tell what was acknowledged and isn't there."""
        known = {self.versions[number][path] for number in self.versions for path in _PATHS}
        missing = registry.missing(*sorted(self.blobs | known)) if self.blobs else {}
        there = self._numbers(registry)
        gone = [f"{self.asset}:{number}" for number in self.versions if number not in there]
        return gone + [f"blob {name}" for name in missing] + self._lost_marks(registry, there)

    def wrong(self, registry: Registry) -> list[str]:
        """Tell what is there and isn't whole or right."""
        numbers = self._numbers(registry)
        asked, about = self.asked
        allowed = len(self.versions) + (asked == "create")
        found = [] if len(numbers) <= allowed else [f"{self.asset} has too many: {numbers}"]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"{self.asset} has gaps: {numbers}")
        for number in numbers[:allowed]:
            expected = self.versions.get(number, about)
            if self._content(registry, number) not in (None, expected):
                found.append(f"{self.asset}:{number} has other bytes")
        return found

    def go_on(self, registry: Registry) -> None:
        """Take what is there as the truth, to write again on it."""
        _, about = self.asked
        for number in self._numbers(registry):
            version = registry.get(number, self.asset)
            if number not in self.versions:
                assert isinstance(about, dict)
                self.versions[number] = about
            self.deleted[number] = version.HasField("delete_time")
            self.aliases |= dict.fromkeys(version.aliases, number)

    def _act(self, registry: Registry) -> None:
        live = [number for number in self.versions if not self.deleted.get(number)]
        free = [number for number in live if number not in self.aliases.values()]
        gone = [number for number, is_gone in self.deleted.items() if is_gone]
        act = self.random.choice(("create", "create", "alias", "alias", "delete", "undelete"))
        if act == "alias" and live:
            self._alias(registry, self.random.choice(live))
        elif act == "delete" and free:
            self._mark(registry, self.random.choice(free), True)
        elif act == "undelete" and gone:
            self._mark(registry, self.random.choice(gone), False)
        else:
            self._create(registry)

    def _create(self, registry: Registry) -> None:
        sizes = (self.random.choice((MIB // 2, 3 * MIB // 2, 9 * MIB)), 100, 5_000)
        files = {
            path: self.random.randbytes(size) for path, size in zip(_PATHS, sizes, strict=True)
        }
        names = {path: digest(data) for path, data in files.items()}
        self.asked = ("push", None)
        sealed = registry.seal(files)
        self.blobs |= set(names.values())
        self.asked = ("create", names)
        made = registry.create(self.asset, sealed)
        self.versions[made.number] = names
        self.asked = ("nothing", None)

    def _alias(self, registry: Registry, number: int) -> None:
        name = self.random.choice(("production", "best"))
        self.asked = ("alias", (name, number))
        registry.set_alias(name, number, self.asset)
        self.aliases[name] = number
        self.asked = ("nothing", None)

    def _mark(self, registry: Registry, number: int, deleted: bool) -> None:
        self.asked = ("mark", number)
        (registry.delete if deleted else registry.undelete)(number, self.asset)
        self.deleted[number] = deleted
        self.asked = ("nothing", None)

    def _content(self, registry: Registry, number: int) -> dict[str, str] | str | None:
        """Give a version's digests as its bytes have them, or why there are none."""
        if registry.get(number, self.asset).HasField("delete_time"):
            return None
        try:
            got = download(registry, registry.version(number, self.asset), *_PATHS)
        except grpc.RpcError as error:
            return status(error).reason
        return {path: digest(data) for path, data in zip(_PATHS, got, strict=True)}

    def _numbers(self, registry: Registry) -> list[int]:
        try:
            return sorted(registry.numbers(self.asset, show_deleted=True, page_size=1000))
        except grpc.RpcError as error:
            if status(error).code == "NOT_FOUND":
                return []
            raise

    def _lost_marks(self, registry: Registry, there: list[int]) -> list[str]:
        """Tell which aliases and deletions are not as they were acknowledged."""
        found = []
        for name, number in self.aliases.items():
            allowed = {number}
            if self.asked[0] == "alias" and self.asked[1][0] == name:  # type: ignore[index]
                allowed.add(self.asked[1][1])  # type: ignore[index]
            if (
                not allowed & set(there)
                or registry.get(f"@{name}", self.asset).number not in allowed
            ):
                found.append(f"{self.asset}@{name}")
        for number, deleted in self.deleted.items():
            if number not in there or self.asked == ("mark", number):
                continue
            if registry.get(number, self.asset).HasField("delete_time") != deleted:
                found.append(f"{self.asset}:{number} deleted: {deleted}")
        return found


_PATHS = ("weights.bin", "config.json", "vocabulary.txt")


def make_writers(count: int, seed: int) -> list[Writer]:
    """Make clients that act by chance, the same for the same seed."""
    return [Writer(f"asset-{n}", Random(f"{seed}-{n}")) for n in range(count)]


@contextmanager
def writing(writers: list[Writer], address: str) -> Iterator[None]:
    """Let all of them write at once; the block must end the server."""
    threads = [threading.Thread(target=writer.write, args=[address]) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    for writer in writers:
        if writer.problem is not None:
            raise writer.problem
