"""modelkeep's server, which checks itself a row at a time, slowly, and is soon given up."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from modelkeep_server import __main__ as program
from modelkeep_server.domain import verification
from modelkeep_server.records import operations, survey, survey_log

PAUSE_SECONDS = 0.02


def main() -> int:
    """Run it."""
    verification.STEP_SECONDS = 0.0
    operations.LEASE_US = 1_000_000
    blobs, events = survey.blobs_behind, survey_log.events

    def slow_blobs(*given: Any) -> Any:
        time.sleep(PAUSE_SECONDS)
        return blobs(*given)

    def slow_events(*given: Any) -> Iterator[Any]:
        for event in events(*given):
            time.sleep(PAUSE_SECONDS)
            yield event

    survey.blobs_behind = slow_blobs  # type: ignore[assignment]
    survey_log.events = slow_events  # type: ignore[assignment]
    return program.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
