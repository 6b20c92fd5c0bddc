"""Calls are traced where OpenTelemetry's variables name a collector, and nowhere else."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id
from tests.services.collector import Collected, attributes, collecting, collecting_over_http
from tests.services.processes import ServerProcess, registry_of, serving
from tests.services.wire import Registry, chunk, digest, header

import modelkeep
from modelkeep.v1 import artifact_service_pb2 as artifacts

SERVICE = "modelkeep.v1"
MODULES = "[name for name in sys.modules if name.startswith('opentelemetry')]"


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    """A collector that servers started in this test send to."""
    with collecting() as (address, collected):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collected


@pytest.fixture
def server(collected: Collected, tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path / "data", "--idle-timeout-seconds", "0.3") as server:
        yield server


@pytest.fixture
def registry(server: ServerProcess) -> Iterator[Registry]:
    with registry_of(server) as registry:
        yield registry


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """What traces this process's own calls, as a program that uses the SDK would."""
    provider = TracerProvider()
    instrumentor = GrpcInstrumentorClient()  # type: ignore[no-untyped-call]  # theirs
    instrumentor.instrument(tracer_provider=provider)
    yield provider
    instrumentor.uninstrument()
    provider.shutdown()


def named(spans: list[Span], *methods: str) -> list[Span]:
    return [span for span in spans if span.name.removeprefix(f"{SERVICE}.") in methods]


def test_unary_calls_and_streams_join_the_clients_trace(
    collected: Collected, server: ServerProcess, provider: TracerProvider, tmp_path: Path
) -> None:
    own = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(own))
    (tmp_path / "model.bin").write_bytes(bytes(3 * 1024 * 1024))

    with (
        provider.get_tracer("training").start_as_current_span("train") as train,
        modelkeep.Client(server.address, cache=tmp_path / "cache") as client,
    ):
        version = client.push("churn", tmp_path / "model.bin", recipe=None)
        client.pull(version, tmp_path / "pulled")
    wanted = {
        "ArtifactService/UploadBlobs",
        "ArtifactService/SealManifest",
        "ArtifactService/DownloadFiles",
        "VersionService/CreateVersion",
    }
    spans = collected.wait_for(
        lambda spans: wanted <= {span.name.removeprefix(f"{SERVICE}.") for span in spans}
    )

    trace = format_trace_id(train.get_span_context().trace_id)
    finished = own.get_finished_spans()
    callers = {format_span_id(span.context.span_id) for span in finished if span.context}
    joined = named(spans, *wanted)
    assert {span.trace_id.hex() for span in joined} == {trace}
    assert {span.parent_span_id.hex() for span in joined} <= callers
    assert f'"trace": "{trace}"' in server.log()


def test_a_span_says_what_the_conventions_for_grpc_say(
    collected: Collected, registry: Registry
) -> None:
    registry.create(files={"model.bin": b"weights"})

    [span] = named(
        collected.wait_for(lambda spans: bool(named(spans, "VersionService/CreateVersion"))),
        "VersionService/CreateVersion",
    )
    assert span.name == f"{SERVICE}.VersionService/CreateVersion"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{SERVICE}.VersionService/CreateVersion",
        "rpc.response.status_code": "OK",
    }
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 20e9
    assert span.parent_span_id == b""
    assert collected.resource()["service.name"] == "modelkeep"
    assert collected.resource()["service.version"]


def test_a_callers_error_is_no_error_of_the_server(
    collected: Collected, registry: Registry
) -> None:
    with pytest.raises(grpc.RpcError):
        registry.create(files={})

    spans = collected.wait_for(lambda spans: any(len(attributes(span)) > 3 for span in spans))
    [failed] = [span for span in spans if len(attributes(span)) > 3]
    assert attributes(failed)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert attributes(failed)["modelkeep.error.reason"]
    assert "error.type" not in attributes(failed)
    assert failed.status.code == Status.STATUS_CODE_UNSET


def test_a_stream_that_ends_badly_is_an_error(collected: Collected, registry: Registry) -> None:
    def still() -> Iterator[artifacts.UploadBlobsRequest]:
        yield header(registry.name, digest(b"weights"), 7)
        yield chunk(b"wei")
        time.sleep(5)

    with pytest.raises(grpc.RpcError):
        list(registry.artifacts.UploadBlobs(still()))

    spans = collected.wait_for(lambda spans: bool(named(spans, "ArtifactService/UploadBlobs")))
    [upload] = named(spans, "ArtifactService/UploadBlobs")
    assert attributes(upload)["error.type"] == "DEADLINE_EXCEEDED"
    assert attributes(upload)["modelkeep.error.reason"] == "IDLE_TIMEOUT"
    assert upload.status.code == Status.STATUS_CODE_ERROR
    assert upload.status.message == ""


def test_no_span_has_a_secret_or_what_was_asked(
    collected: Collected, server: ServerProcess
) -> None:
    with grpc.insecure_channel(server.address) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}.VersionService/GetVersion")
        metadata = [("authorization", "Bearer s3cr3t"), ("baggage", "token=s3cr3t")]
        with pytest.raises(grpc.RpcError):
            call(b"\x0a\x06s3cr3t", metadata=metadata)
    collected.wait_for(bool)

    assert all(b"s3cr3t" not in request.SerializeToString() for request in collected.requests)


def test_health_checks_are_not_traced(
    collected: Collected, server: ServerProcess, registry: Registry
) -> None:
    with grpc.insecure_channel(server.address) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        check(b"")
    registry.create(files={"model.bin": b"weights"})

    spans = collected.wait_for(lambda spans: bool(named(spans, "VersionService/CreateVersion")))
    assert all(span.name.startswith(f"{SERVICE}.") for span in spans)


def test_spans_go_over_http_where_that_is_asked_for_and_headers_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting_over_http() as (address, collected):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t,oops s3cr3t")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "models")
        with serving(tmp_path / "data") as server:
            with registry_of(server) as registry:
                registry.create(files={"model.bin": b"weights"})
            server.stop()  # long before the next batch is due: a stop sends what is left

        assert server.exit_code() == 0
        assert named(collected.spans(), "VersionService/CreateVersion")
        assert collected.resource()["service.name"] == "models"
        assert collected.headers[0]["api-key"] == "s3cr3t"
        assert collected.headers[0]["path"] == "/v1/traces"
        assert "s3cr3t" not in server.log()
        assert "can't be read" in server.log()


def test_a_collector_that_is_gone_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with serving(tmp_path / "data") as server:
        with registry_of(server) as registry:
            registry.create(files={"model.bin": b"weights"})
        begun = time.monotonic()
        server.stop()

    assert server.exit_code() == 0
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize(
    "variables",
    [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}],
    ids=["no variables", "disabled", "no exporter"],
)
def test_where_nothing_is_traced_nothing_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    code = (
        "import sys; from modelkeep_server.__main__ import main; main(sys.argv[1:]); "
        f"print({MODULES}, file=sys.stderr)"
    )
    with serving(tmp_path / "data", program=("-c", code)) as server:
        with registry_of(server) as registry:
            registry.create(files={"model.bin": b"weights"})
        server.stop()

    assert server.log().splitlines()[-1] == "[]"
    assert all("trace" not in json.loads(line) for line in server.log().splitlines()[:-1])


def test_without_the_extra_the_server_serves_and_says_so(
    collected: Collected, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; "
        "from modelkeep_server.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    with (
        serving(tmp_path / "data", program=("-c", code)) as server,
        registry_of(server) as registry,
    ):
        registry.create(files={"model.bin": b"weights"})

    assert "install modelkeep[otel]" in server.log()
    assert collected.spans() == []


def test_a_protocol_that_is_none_stops_the_start(
    collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")

    with pytest.raises(AssertionError, match=r"carrier-pigeon.*must be grpc or http/protobuf"):
        ServerProcess(tmp_path / "data")
