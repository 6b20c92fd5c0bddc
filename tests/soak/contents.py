"""What clients send: bytes that can be made again when they are to be compared."""

from dataclasses import dataclass
from random import Random

from tests.services.wire import MIB

_SHARED = 250
_SIZES = (20_000, 300_000, 3 * MIB, 6 * MIB)
_WEIGHTS = (900, 90, 7, 3)


@dataclass(frozen=True, slots=True)
class Content:
    """A file: what its bytes are made of, and how many there are."""

    seed: str
    size: int

    def data(self) -> bytes:
        """Make the bytes."""
        return Random(self.seed).randbytes(self.size)


Files = dict[str, Content]


def choose(random: Random, owner: str) -> Files:
    """Choose the files of a version: most are such that others send them too."""
    return {f"f{n}": _choose(random, owner) for n in range(random.randint(1, 3))}


def data(files: Files) -> dict[str, bytes]:
    """Make the bytes of files."""
    return {path: content.data() for path, content in files.items()}


def _choose(random: Random, owner: str) -> Content:
    if random.random() < 0.8:
        number = random.randrange(_SHARED)
        return Content(f"shared {number}", 500 + 40 * number)
    size = random.choices(_SIZES, _WEIGHTS)[0]
    return Content(f"{owner} {random.getrandbits(64)}", size)
