"""A collector of traces that speaks OTLP, over gRPC and over HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 20.0


class Collected(rpc.TraceServiceServicer):
    """What came so far."""

    def __init__(self) -> None:
        self.requests: list[pb.ExportTraceServiceRequest] = []
        self.headers: list[dict[str, Any]] = []

    def Export(  # noqa: N802  # as the rpc is called
        self, request: pb.ExportTraceServiceRequest, context: Any
    ) -> pb.ExportTraceServiceResponse:
        self.headers.append(dict(context.invocation_metadata()))
        self.requests.append(request)
        return pb.ExportTraceServiceResponse()

    def spans(self) -> list[Span]:
        return [
            span
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, wanted: Callable[[list[Span]], bool]) -> list[Span]:
        """Give the spans once they are what is wanted."""
        end = time.monotonic() + SECONDS
        while not wanted(spans := self.spans()):
            assert time.monotonic() < end, spans
            time.sleep(0.02)
        return spans

    def resource(self) -> dict[str, str]:
        attributes = self.requests[0].resource_spans[0].resource.attributes
        return {attribute.key: attribute.value.string_value for attribute in attributes}


def attributes(span: Span) -> dict[str, str]:
    """Give a span's attributes; those of a server of modelkeep are texts."""
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


@contextmanager
def collecting() -> Iterator[tuple[str, Collected]]:
    """Collect over gRPC at an address."""
    collected = Collected()
    server = grpc.server(ThreadPoolExecutor(2))
    rpc.add_TraceServiceServicer_to_server(collected, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", collected
    server.stop(None).wait()


@contextmanager
def collecting_over_http() -> Iterator[tuple[str, Collected]]:
    """Collect over HTTP at an address."""
    collected = Collected()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collected.headers.append({"path": self.path, **self.headers})
            collected.requests.append(pb.ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # theirs
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", collected
    server.shutdown()
    thread.join()
    server.server_close()
