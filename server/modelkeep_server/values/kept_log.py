"""What was kept of a log elsewhere, for the log to bear out."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.checkpoints import Checkpoint


@dataclass(frozen=True, slots=True)
class Kept:
    """Checkpoints whose signatures were checked, and the hashes of the first leaves."""

    checkpoints: Iterable[Checkpoint] = ()
    leaf_hashes: Iterable[bytes] = ()


NOTHING_KEPT = Kept()
