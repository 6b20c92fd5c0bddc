"""How a server starts and ends, as the process that people run."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import psycopg
import pytest
from tests.parts.postgres import Postgres, new_database
from tests.running import RunningServer

from modelkeep.v1 import admin_service_pb2 as pb
from modelkeep_server import app
from modelkeep_server.edge.logs import LineWriter, logger
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.records import postgres
from modelkeep_server.settings import load
from modelkeep_server.values.start import StartError


class Process:
    """A server process."""

    def __init__(self, folder: Path, *arguments: str, code: str = "", **environment: str) -> None:
        own = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP")}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(["-c", code] if code else ["-m", "modelkeep_server"]),
                    *arguments,
                ],
                cwd=folder,
                env=own | environment,
                stderr=log,
            )

    def lines(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many lines of the log."""
        end = time.monotonic() + 20
        while len(lines := self.log.read_text().splitlines()) < count:
            assert time.monotonic() < end, lines
            assert self.process.poll() is None, lines
            time.sleep(0.02)
        return [json.loads(line) for line in lines]

    def serving(self) -> dict[str, Any]:
        """Wait until it serves."""
        return self.lines(1)[0]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Stop it and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0")
    yield process
    process.process.kill()
    process.process.wait()


def _info(channel: grpc.Channel) -> pb.ServerInfo:
    call: Any = channel.unary_unary("/modelkeep.v1.AdminService/GetServerInfo")
    return pb.ServerInfo.FromString(call(b""))


def _streaming(channel: grpc.Channel, method: str) -> Any:
    call: Any = channel.unary_stream(method)
    return call(b"")


def refused(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Give the exit code and the log of a server that does not start."""
    process = Process(folder, *arguments, **environment)
    try:
        code = process.process.wait(timeout=60)
    finally:
        process.process.kill()
    return code, process.log.read_text()


def test_a_server_says_where_it_serves_and_answers(started: Process, tmp_path: Path) -> None:
    serving = started.serving()

    assert serving["event"] == "serving"
    assert serving["open"] is True
    assert serving["data"] == str(tmp_path / "modelkeep-data")
    assert (tmp_path / "modelkeep-data").stat().st_mode & 0o777 == 0o700
    with grpc.insecure_channel(serving["address"]) as channel:
        info = _info(channel)
    assert info.open
    assert info.version
    assert info.limits.max_message_bytes == 2 * 1024 * 1024
    assert info.limits.max_labels == 64
    assert all(value for _, value in info.limits.ListFields())
    assert len(info.limits.ListFields()) == len(pb.Limits.DESCRIPTOR.fields)


def test_metrics_are_served_apart(started: Process) -> None:
    serving = started.serving()
    with grpc.insecure_channel(serving["address"]) as channel:
        _info(channel)

    with urllib.request.urlopen(f"http://{serving['metrics']}/metrics") as answer:
        figures = answer.read().decode()

    assert 'modelkeep_calls_total{code="OK",method="modelkeep.v1.AdminService' in figures
    assert "modelkeep_build_info{version=" in figures


def test_people_are_told_what_to_type_next(tmp_path: Path) -> None:
    process = Process(
        tmp_path, "--listen=127.0.0.1:0", "--metrics-listen=off", "--log-format=console"
    )
    end = time.monotonic() + 20
    while "Ctrl-C stops" not in (said := process.log.read_text()):
        assert time.monotonic() < end, said
        time.sleep(0.02)

    assert process.end(signal.SIGINT) == 0
    assert "open: anyone who can reach it may do anything" in said
    assert str(tmp_path / "modelkeep-data") in said
    assert "modelkeep push" in said


def test_a_stop_is_clean_and_quick(started: Process) -> None:
    address = started.serving()["address"]
    with grpc.insecure_channel(address) as channel:
        watch = _streaming(channel, "/grpc.health.v1.Health/Watch")
        assert next(watch) == b"\x08\x01"
        begun = time.monotonic()

        assert started.end() == 0

        assert time.monotonic() - begun < 5
        assert list(watch) == [b"\x08\x02"]
    assert started.log.read_text().count("Traceback") == 0


HANGING = """
import asyncio, sys, time, uvloop
from modelkeep_server.edge.stopping import Stop

async def run():
    stop = Stop()
    stop.rule_the_process(drain_seconds=30)
    sys.stderr.write('{"event": "serving"}\\n')
    await stop.wait()
    sys.stderr.write('{"event": "stopping"}\\n')
    await asyncio.sleep(60)

uvloop.run(run())
"""


def test_a_second_signal_ends_a_server_at_once(tmp_path: Path) -> None:
    process = Process(tmp_path, code=HANGING)
    process.lines(1)
    process.process.send_signal(signal.SIGTERM)
    process.lines(2)

    assert process.end(signal.SIGINT) == 128 + signal.SIGINT


def test_a_taken_port_is_said_in_one_line(started: Process, tmp_path: Path) -> None:
    address = started.serving()["address"]
    other = tmp_path / "other"
    other.mkdir()

    code, said = refused(other, f"--listen={address}", "--metrics-listen=off")

    assert code == 1
    assert said == (
        f"modelkeep serve: can't listen on {address}: Address already in use; choose another "
        "address with --listen\n"
    )


def test_a_taken_metrics_port_stops_the_start_only_where_it_was_asked_for(
    started: Process, tmp_path: Path
) -> None:
    metrics = started.serving()["metrics"]
    other = tmp_path / "other"
    other.mkdir()

    code, said = refused(other, "--listen=127.0.0.1:0", f"--metrics-listen={metrics}")

    assert code == 1
    assert said.startswith(f"modelkeep serve: can't serve metrics on {metrics}: Address already")


def test_a_second_server_on_the_same_folder_isrefused(started: Process, tmp_path: Path) -> None:
    data = started.serving()["data"]
    other = tmp_path / "other"
    other.mkdir()

    code, said = refused(other, f"--data={data}", "--listen=127.0.0.1:0")

    assert code == 1
    assert said.count("\n") == 1
    assert "is in use by another server" in said


def test_an_open_server_stays_on_this_machine(tmp_path: Path) -> None:
    code, said = refused(tmp_path, "--listen=0.0.0.0:0")

    assert code == 1
    assert "won't listen on 0.0.0.0:0" in said
    assert "--allow-open" in said
    assert not (tmp_path / "modelkeep-data").exists()


def test_an_open_server_serves_others_where_that_is_meant(tmp_path: Path) -> None:
    process = Process(tmp_path, "--listen=0.0.0.0:0", "--metrics-listen=off", "--allow-open")

    assert process.serving()["address"].startswith("0.0.0.0:")
    assert process.end() == 0


def test_a_wrong_setting_is_wrong_usage(tmp_path: Path) -> None:
    code, said = refused(tmp_path, MODELKEEP_MAX_UPLOADS="lots")

    assert code == 2
    assert said == (
        "modelkeep serve: the setting max_uploads (MODELKEEP_MAX_UPLOADS) is 'lots'; it must be "
        "a whole number from 1 to 1000\n"
    )


def test_reflection_tells_of_every_service(server: RunningServer, channel: grpc.Channel) -> None:
    from grpc_reflection.v1alpha import reflection_pb2

    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    method: Any = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    )
    [answer] = method(iter([ask.SerializeToString()]))

    told = reflection_pb2.ServerReflectionResponse.FromString(answer)
    names = {service.name for service in told.list_services_response.service}
    assert {"grpc.health.v1.Health", "modelkeep.v1.AdminService"} <= names


def test_health_knows_each_service(server: RunningServer, channel: grpc.Channel) -> None:
    check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    service = b"modelkeep.v1.AdminService"

    assert check(b"") == b"\x08\x01"
    assert check(b"\x0a" + bytes([len(service)]) + service) == b"\x08\x01"
    with pytest.raises(grpc.RpcError) as refused:
        check(b"\x0a\x01x")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as refused:
        check(b"\xff")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_database_that_goes_away_during_a_start_is_named_and_not_the_folder(
    tmp_path: Path, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database(postgres_server.url())
    name = urlsplit(url).path[1:]
    # Its schema can be made by the one connection, and a server needs three.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN CONNECTION LIMIT 1'.encode())
        connection.execute(f'ALTER DATABASE "{name}" OWNER TO "{name}"'.encode())
    monkeypatch.setattr(postgres, "PATIENCE_SECONDS", 0.5)
    settings = load(
        {"data": str(tmp_path / "data"), "database": url.replace("postgres@", f"{name}@")}
    )
    log = logger(LineWriter(io.StringIO(), lambda: None), "json", "info")

    with pytest.raises(StartError, match=r"^the database "):
        app.build(settings, log, Metrics("test"))
