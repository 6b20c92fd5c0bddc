"""Whether calls are traced: where OpenTelemetry's own variables name a collector.

Without them, or without the extra `modelkeep[otel]`, nothing of OpenTelemetry is imported.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from modelkeep_server.edge.logs import Logger
from modelkeep_server.values.start import StartError

Metadata = Sequence[tuple[str, str | bytes]]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Span(Protocol):
    """One call, as a trace has it."""

    trace_id: str

    def end(self, code: str, reason: str) -> None:
        """Say how it ended."""


class Tracer(Protocol):
    """Makes spans and sends them. On the event loop; sending has a thread of its own."""

    def begin(self, method: str, metadata: Metadata) -> Span:
        """Begin a call's span, within the caller's trace where the metadata names one."""

    def close(self) -> None:
        """Send what is left, but for a collector that does not answer."""


def tracer(environment: Mapping[str, str], version: str, log: Logger) -> Tracer | None:
    """Give what traces calls, if they are to be traced."""
    if not _is_wanted(environment):
        return None
    try:
        from modelkeep_server.edge import spans
    except ModuleNotFoundError as problem:
        log.warning("no traces", problem=f"{problem}; install modelkeep[otel]")
        return None
    except Exception as problem:  # what the variables name is loaded at the import
        raise _unusable(problem) from problem
    try:
        return spans.OtlpTracer(environment, version)
    except Exception as problem:
        raise _unusable(problem) from problem


def _is_wanted(environment: Mapping[str, str]) -> bool:
    return (
        any(environment.get(name) for name in ENDPOINTS)
        and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and environment.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
    )


def _unusable(problem: Exception) -> StartError:
    return StartError(f"the OTEL_ variables can't be used: {problem}")
