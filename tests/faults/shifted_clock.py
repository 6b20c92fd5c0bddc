"""A server whose clock is wrong: `python shifted_clock.py FILE …`, with FILE's seconds added."""

import sys
import time
from pathlib import Path

_real_ns = time.time_ns
_shift = Path(sys.argv[1])


def _shifted_ns() -> int:
    return _real_ns() + int(_shift.read_text()) * 1_000_000_000


if __name__ == "__main__":
    time.time_ns = _shifted_ns
    time.time = lambda: _shifted_ns() / 1e9

    from modelkeep_server.__main__ import main

    sys.exit(main(sys.argv[2:]))
