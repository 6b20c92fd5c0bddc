"""What was kept of a log elsewhere, for the log to bear out."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.checkpoints import Checkpoint


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a log from elsewhere.

    Attributes:
        checkpoints: Whose signatures were checked.
        leaf_hashes: Of the first leaves.
        key: The log's public key, as it is written; nothing where none is known.
    """

    checkpoints: Iterable[Checkpoint] = ()
    leaf_hashes: Iterable[bytes] = ()
    key: str | None = None


NOTHING_KEPT = Kept()
