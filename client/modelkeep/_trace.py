"""Traces of the program that uses us, where it has loaded OpenTelemetry; nothing is loaded here."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from modelkeep._channel import Metadata


def joined(metadata: Metadata) -> Metadata:
    """Say with a call within which trace it is made."""
    propagate = sys.modules.get("opentelemetry.propagate")
    if propagate is None:
        return metadata
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return (*metadata, *carrier.items())


def without_instrumentation() -> AbstractContextManager[Any]:
    """Let a stream be opened as it is: gRPC's instrumentation makes one that can't be cancelled."""
    utils = sys.modules.get("opentelemetry.instrumentation.utils")
    return utils.suppress_instrumentation() if utils else nullcontext()
