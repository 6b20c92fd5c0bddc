"""Clients that ask again until they are answered, with the same request id, whatever happens.

Each has an asset of its own. So however often a call is repeated, its versions have the numbers
from 1 on without a gap, each with the bytes that were sent for it.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.faults.asking import Asking
from tests.services.wire import MIB, Registry, download


class Insisting(Asking):
    """A client, and what it made."""

    def __init__(self, address: str, name: str, seed: int) -> None:
        super().__init__(address, name)
        self.made: dict[int, bytes] = {}
        self._random = Random(f"{seed}-{name}")

    def problems(self, registry: Registry) -> Iterator[str]:
        """Tell what was acknowledged and is not there, or is there and is wrong."""
        there = sorted(registry.numbers(self.name, page_size=1000)) if self.made else []
        if there != list(range(1, len(self.made) + 1)):
            yield f"{self.name} has {there}, and was told of {sorted(self.made)}"
            return
        for number, data in self.made.items():
            if download(registry, registry.version(number, self.name), "f") != [data]:
                yield f"{self.name}:{number} has other bytes"
        if self.made and registry.get("@best", self.name).number != max(self.made):
            yield f"{self.name}@best is another"

    def _act(self, registry: Registry) -> None:
        size = self._random.choice((100, 5_000, 5_000, 300_000, 3 * MIB))
        data = self._random.randbytes(size)
        sealed = self._insist(lambda: registry.seal({"f": data}))
        request_id = str(uuid.uuid4())
        made = self._insist(
            lambda: registry.create(self.name, sealed, request_id=request_id)
        ).number
        assert made not in self.made, f"{self.name} was told of {made} twice"
        self.made[made] = data
        alias_id = str(uuid.uuid4())
        self._insist(lambda: registry.set_alias("best", made, self.name, request_id=alias_id))
        got = self._insist(lambda: download(registry, registry.version(made, self.name), "f"))
        assert got == [data], f"{self.name}:{made} has other bytes"


@contextmanager
def insisting(
    addresses: Sequence[str], count: int, seed: int, name: str
) -> Iterator[list[Insisting]]:
    """Let so many clients act, until the end of the block, on assets that begin with `name`."""
    clients = [Insisting(addresses[n % len(addresses)], f"{name}-{n}", seed) for n in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        problems = []
        for client in clients:
            try:
                client.stop()
            except BaseException as problem:
                problems.append(problem)
    if problems:
        raise BaseExceptionGroup("clients were answered wrongly", problems)
