"""People at work: each pushes, pulls, moves an alias and looks, by the SDK, again and again.

What was acknowledged to them must be there; and nothing that they do may fail.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import modelkeep

MIB = 1 << 20
FILE = "model.bin"
_SIZES = (1_000, MIB // 4, 3 * MIB)


class Person:
    """Someone with an asset of their own, who knows what must be in it."""

    def __init__(self, number: int, home: Path) -> None:
        self.asset = f"asset-{number}"
        self.acts = 0
        self.failures: list[BaseException] = []
        self._random = Random(number)
        self._home = home / self.asset
        self._home.mkdir(parents=True)
        self._contents: dict[int, bytes] = {}
        self._best = 0

    def work(self, url: str, end: threading.Event) -> None:
        """Act until the end, or until something fails."""
        try:
            with modelkeep.Client(url, cache=self._home / "cache", user=self.asset) as registry:
                while not end.is_set():
                    self._act(registry)
                    self.acts += 1
        except Exception as failure:
            self.failures.append(failure)

    def check(self, registry: modelkeep.Client) -> None:
        """See that what was acknowledged is there, and nothing else."""
        if not self._contents:
            return
        numbers = sorted(version.number for version in registry.versions(self.asset))
        assert set(self._contents) <= set(numbers), self.asset
        assert numbers == list(range(1, len(numbers) + 1)), self.asset
        assert self.failures or len(numbers) == len(self._contents), self.asset
        for number in self._contents:
            self._pull(registry, number)
        if self._best and not self.failures:
            assert registry.version(f"{self.asset}@best").number == self._best

    def _act(self, registry: modelkeep.Client) -> None:
        act = self._random.choice(("push", "pull", "alias", "get", "get"))
        if act == "push" or not self._contents:
            return self._push(registry)
        number = self._random.choice(list(self._contents))
        match act:
            case "pull":
                self._pull(registry, number)
            case "alias":
                registry.set_alias(f"{self.asset}:{number}", "best")
                self._best = number
            case "get":
                assert registry.version(f"{self.asset}:{number}").number == number
        return None

    def _push(self, registry: modelkeep.Client) -> None:
        content = self._random.randbytes(self._random.choice(_SIZES))
        (self._home / FILE).write_bytes(content)
        pushed = registry.push(self.asset, self._home / FILE, recipe=None)
        assert pushed.number == len(self._contents) + 1
        self._contents[pushed.number] = content

    def _pull(self, registry: modelkeep.Client, number: int) -> None:
        got = registry.pull(f"{self.asset}:{number}", self._home / "got", force=True)
        assert (got / FILE).read_bytes() == self._contents[number], f"{self.asset}:{number}"


@contextmanager
def at_work(url: str, home: Path, count: int = 6) -> Iterator[list[Person]]:
    """Let so many people work until the end of the block."""
    people = [Person(number, home) for number in range(count)]
    end = threading.Event()
    threads = [threading.Thread(target=person.work, args=[url, end]) for person in people]
    for thread in threads:
        thread.start()
    try:
        yield people
    finally:
        end.set()
        for thread in threads:
            thread.join(timeout=120)
