"""`make bench`: measure, print the table, write it as JSON, and fail where an aim is missed.

`QUICK=1` shows in a short run that every row works; `ROWS="get list"` takes those whose names have
one of these words.
"""

import os
import signal
import sys

from bench import (
    beside,
    calls,
    growth,
    links,
    many_files,
    memory,
    production,
    report,
    transfers,
    watches,
)
from bench.rows import Row, measure
from bench.scene import Scene

ROUNDS, QUICK_ROUNDS = 7, 1
SUBJECTS = (transfers, calls, memory, watches, growth, many_files, production, links, beside)


def main() -> int:
    """Run the rounds, tell the result, and answer the exit code."""
    # So that servers and folders go, however the run ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    quick = os.environ.get("QUICK") == "1"
    with Scene(quick) as scene:
        rows = chosen(scene, os.environ.get("ROWS", "").split())
        for number, row in measure(rows, QUICK_ROUNDS if quick else ROUNDS):
            show(f"round {number + 1}: {row.what}")
        show("")
        report.tell(rows, quick)
        report.write(rows, quick)
    return 0 if quick or not any(row.missed for row in rows) else 1


def show(line: str) -> None:
    """Say on a terminal what is being done."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()


def chosen(scene: Scene, words: list[str]) -> list[Row]:
    """Give the rows that are asked for, without words all of them."""
    every = [row for subject in SUBJECTS for row in subject.rows(scene)]
    if scene.quick and not words:  # MLflow is a large thing to install for a short run
        return [row for row in every if not row.what.startswith("mlflow")]
    rows = [row for row in every if not words or any(word in row.what for word in words)]
    if not rows:
        raise SystemExit(
            f"no row has any of {words}; there are: {', '.join(r.what for r in every)}"
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
