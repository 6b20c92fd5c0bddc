"""Three replicas on one Postgres and one S3 store, used by 200 clients at once: `make soak`.

Meanwhile garbage is collected every ten seconds, the registry is checked and backed up, and
replicas are stopped and killed. At the end nothing that was acknowledged may be lost or wrong,
every reader of the log must have seen the same, verify must find the registry and its last backup
whole, and a restore of that must work. Prints one line of JSON; fails where something is not as it
should be.

MINUTES is how long clients go on (10), SEED what their choices begin with, CLIENTS how many (200).
"""

import json
import os
import secrets
import sys

from tests.soak.run import Plan, soak


def main() -> int:
    """Run a soak as the environment says."""
    plan = Plan(
        minutes=float(os.environ.get("MINUTES", "10")),
        clients=int(os.environ.get("CLIENTS", "200")),
        seed=int(os.environ.get("SEED") or secrets.randbits(32)),
    )
    totals, faults = soak(plan)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"{json.dumps(totals)}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
