# ruff: noqa: N802  # methods are named as rpcs are
"""A service that does whatever the edge has to stand: for the tests of the edge alone."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from modelkeep.errors import FailedPreconditionError
from modelkeep.v1 import options_pb2
from modelkeep_server.values.call import Answer, Call
from modelkeep_server.values.hints import NotShortError, short_read

CHUNK = bytes(1024 * 1024)

_UNARY = ("Echo", "Short", "Quick", "Sleep", "Refuse", "Break", "Who", "Write")


def descriptor(permission: str = "toys.play") -> ServiceDescriptor:
    """Describe `toy.ToyService`."""
    file = FileDescriptorProto(name="toy.proto", package="toy", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    service = file.service.add(name="ToyService")
    for name in (*_UNARY, "Download", "Upload", "Watch"):
        method = service.method.add(
            name=name,
            input_type=".google.protobuf.StringValue",
            output_type=".google.protobuf.BytesValue",
            client_streaming=name == "Upload",
            server_streaming=name not in _UNARY,
        )
        if permission:
            method.options.Extensions[options_pb2.permission] = permission
    pool = DescriptorPool()
    for known in ("google/protobuf/wrappers.proto",):
        copy = FileDescriptorProto()
        StringValue.DESCRIPTOR.file.CopyToProto(copy)
        copy.name = known
        pool.Add(copy)
    pool.Add(file)
    return pool.FindServiceByName("toy.ToyService")


class ToyService:
    """What its methods say."""

    def __init__(self) -> None:
        """Note what happens to streams."""
        self.closed_in: list[str] = []
        self.problems: list[BaseException] = []
        self.received = 0
        self.sent = 0
        self.go_on = threading.Event()

    def Echo(self, request: StringValue, call: Call) -> bytes:
        return BytesValue(value=request.value.encode()).SerializeToString()

    async def Quick(self, request: StringValue, call: Call) -> BytesValue:
        return BytesValue(value=threading.current_thread().name.encode())

    @short_read(lambda request: request.value != "slow")
    def Short(self, request: StringValue, call: Call) -> BytesValue:
        if request.value == "longer" and threading.current_thread().name.startswith("short"):
            raise NotShortError
        if request.value == "break":
            raise RuntimeError("a secret")
        return BytesValue(value=threading.current_thread().name.encode())

    def Sleep(self, request: StringValue, call: Call) -> BytesValue:
        time.sleep(float(request.value))
        return BytesValue()

    def Refuse(self, request: StringValue, call: Call) -> BytesValue:
        raise FailedPreconditionError(
            "VERSION_HELD",
            f"no \u202e\x1b[31m{request.value}",
            holders=request.value * 10_000,
            retry_after_seconds=1.5,
        )

    def Break(self, request: StringValue, call: Call) -> BytesValue:
        raise RuntimeError("a secret")

    def Who(self, request: StringValue, call: Call) -> BytesValue:
        return BytesValue(value=f"{call.principal} {call.principal_name}".encode())

    def Write(self, request: StringValue, call: Call) -> Answer:
        return Answer(BytesValue(value=b"written").SerializeToString(), event_id="e-1")

    def Download(self, request: StringValue, call: Call) -> Iterator[BytesValue]:
        def answers() -> Iterator[BytesValue]:
            for _ in range(int(request.value)):
                self.sent += 1
                yield BytesValue(value=CHUNK)

        return self._noted(answers)

    def Upload(self, requests: Iterator[StringValue], call: Call) -> Iterator[BytesValue]:
        def answers() -> Iterator[BytesValue]:
            for request in requests:
                self.received += 1
                if request.value == "work":
                    time.sleep(2)
                if request.value == "break":
                    raise RuntimeError("a secret")
                yield BytesValue(value=request.value[:10].encode())

        return self._noted(answers)

    async def Watch(self, request: StringValue, call: Call) -> AsyncIterator[BytesValue]:
        try:
            for _ in range(int(request.value)):
                self.sent += 1
                yield BytesValue(value=CHUNK)
            await asyncio.Future()
        finally:
            self.closed_in.append(threading.current_thread().name)

    def _noted(self, answers: Callable[[], Iterator[BytesValue]]) -> Iterator[BytesValue]:
        try:
            yield from answers()
        except BaseException as problem:
            self.problems.append(problem)
            raise
        finally:
            self.closed_in.append(threading.current_thread().name)


def status_of(error: grpc.RpcError) -> Status:
    """Give the details of an error."""
    trailing: Any = error.trailing_metadata()
    return Status.FromString(dict(trailing)["grpc-status-details-bin"])


def info_of(error: grpc.RpcError) -> ErrorInfo:
    """Give the reason of an error, and its values."""
    info = ErrorInfo()
    assert status_of(error).details[0].Unpack(info)
    return info


class ToyClient:
    """Calls the toy, with bytes as they are."""

    def __init__(self, channel: grpc.Channel) -> None:
        """Call over this channel."""
        self._channel = channel

    def unary(self, name: str, value: str = "", **options: Any) -> str:
        """Call a method of one answer."""
        answer = self.call(name)(StringValue(value=value).SerializeToString(), **options)
        return BytesValue.FromString(answer).value.decode()

    def call(self, name: str) -> Any:
        """Give a method of one answer, from bytes to bytes."""
        return self._channel.unary_unary(f"/toy.ToyService/{name}")

    def stream(self, name: str, value: str, **options: Any) -> Any:
        """Call a method of many answers."""
        method: Any = self._channel.unary_stream(f"/toy.ToyService/{name}")
        return method(StringValue(value=value).SerializeToString(), **options)

    def upload(self, values: Iterator[str], **options: Any) -> Any:
        """Call `Upload`."""
        method: Any = self._channel.stream_stream("/toy.ToyService/Upload")
        bodies = (StringValue(value=value).SerializeToString() for value in values)
        return method(bodies, **options)
