"""`modelkeep admin verify`, as the tests ask it after a fault."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from modelkeep_server.offline import Damage, check
from modelkeep_server.values.place import Place

COMMAND = "import sys, modelkeep.cli; sys.exit(modelkeep.cli.main())"


def verify(data: Path) -> tuple[int, dict[str, Any]]:
    """Verify a stopped server's data folder, its bytes included; gives exit code and report."""
    ran = subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, "admin", "verify"),
            *("--data", str(data), "--read-data", "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else {"error": ran.stderr}


def check_sound(data: Path) -> None:
    """Hold a data folder to its invariants; what nothing refers to may lie in it."""
    code, report = verify(data)
    assert code in (0, 1), report


def check_sound_here(data: Path) -> None:
    """Do that in this process, which takes a tenth of the time: for hundreds of folders."""
    findings = check(Place(data), True, Counter())
    assert [finding for finding in findings if isinstance(finding, Damage)] == []
