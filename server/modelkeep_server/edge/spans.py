"""Spans of calls, sent to a collector by OTLP: the one importer of OpenTelemetry.

Names and attributes are those of its conventions for gRPC servers, with the error's reason beside
them. No metadata, request or answer is among them. OpenTelemetry reads its variables itself:
headers, certificates, sampling, the names of this service.
"""

import logging
from collections.abc import Mapping
from threading import Thread

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from modelkeep_server.edge.tracing import Metadata

FLUSH_SECONDS = 3.0
"""How long the end of a server waits for a collector."""

PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

FAULTS = frozenset(
    {"DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"}
)
"""What the conventions call an error of the server; the others are the caller's."""


class OtlpTracer:
    """Traces calls, and sends their spans from a thread of its own."""

    def __init__(self, environment: Mapping[str, str], version: str) -> None:
        """Send to where the variables say."""
        logging.getLogger("opentelemetry.util.re").addFilter(_without_headers)
        resource = Resource.create({SERVICE_VERSION: version})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "modelkeep"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_exporter(environment)))
        self._tracer = self._provider.get_tracer("modelkeep_server", version)

    def begin(self, method: str, metadata: Metadata) -> "CallSpan":
        """Begin a call's span, within the caller's trace where the metadata names one."""
        texts = {key: value for key, value in metadata if isinstance(value, str)}
        span = self._tracer.start_span(
            method,
            propagate.extract(texts),
            trace.SpanKind.SERVER,
            {"rpc.system.name": "grpc", "rpc.method": method},
        )
        return CallSpan(span)

    def close(self) -> None:
        """Send what is left, but for a collector that does not answer."""
        sending = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)


class CallSpan:
    """One call."""

    __slots__ = ("_span", "trace_id")

    def __init__(self, span: trace.Span) -> None:
        """Go on with a span that has begun."""
        self._span = span
        self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)

    def end(self, code: str, reason: str) -> None:
        """Say how it ended."""
        self._span.set_attribute("rpc.response.status_code", code)
        if reason:
            self._span.set_attribute("modelkeep.error.reason", reason)
        if code in FAULTS:
            self._span.set_attribute("error.type", code)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def _exporter(environment: Mapping[str, str]) -> SpanExporter:
    name, protocol = next(
        ((name, value) for name in PROTOCOLS if (value := environment.get(name))), ("", "grpc")
    )
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_exporter

        return grpc_exporter.OTLPSpanExporter()
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_exporter

        return http_exporter.OTLPSpanExporter()
    raise ValueError(f"{name} is {protocol!r}; it must be grpc or http/protobuf")


def _without_headers(record: logging.LogRecord) -> bool:
    """Keep secrets out of the log: OpenTelemetry quotes headers that it can't read."""
    record.msg, record.args = "a header in the OTEL_ variables can't be read", ()
    return True
