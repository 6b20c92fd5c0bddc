"""The bases: a grpcio server that does nothing but answer, with the same allocator."""

import sys

import uvloop
from grpc import (
    RpcMethodHandler,
    aio,
    method_handlers_generic_handler,
    unary_stream_rpc_method_handler,
)
from grpc import unary_unary_rpc_method_handler as unary

from modelkeep_server.edge.allocator import keep_memory

CHUNK = b"x" * 1024 * 1024


async def answer(_request: bytes, _context: object) -> bytes:
    return b""


async def as_many_bytes(request: bytes, _context: object) -> bytes:
    return CHUNK[: int(request)]


async def stream(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> None:
    for _ in range(int(request)):
        await context.write(CHUNK)


async def serve() -> None:
    keep_memory()
    server = aio.server()
    handlers: dict[str, RpcMethodHandler[bytes, bytes]] = {
        "Empty": unary(answer),
        "Bytes": unary(as_many_bytes),
        "Stream": unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((method_handlers_generic_handler("bare", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve())
