"""`modelkeep`, the command line: the SDK's verbs, for people and scripts.

`app.py` lists the commands, each with a file of its own; `problems.py` says what exit codes mean.
Nothing here knows the wire: what a command can do, `modelkeep.Client` can do.
"""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:  # without loading the commands
        from modelkeep.cli.version import version_line

        sys.stdout.write(version_line())
        return 0
    # grpc's own words about a broken connection would stand before the one line that says it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from modelkeep.cli.problems import outcome

        return outcome(lambda: _run(given))
    except KeyboardInterrupt:  # while it was starting or ending
        return 130


def _run(arguments: Sequence[str]) -> int:
    from modelkeep.cli.app import run

    return run(arguments)
