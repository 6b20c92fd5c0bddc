"""How every call begins: who calls, whether they may, what they ask for."""

import hashlib
import time
from typing import Any

from google.protobuf.message import Message
from grpc import aio

from modelkeep_server.edge import wire
from modelkeep_server.edge.access import OpenAccess
from modelkeep_server.edge.calls import Method, Rpc
from modelkeep_server.edge.identity import OpenIdentity
from modelkeep_server.values.call import Call

Context = aio.ServicerContext[Any, Any]


class Opening:
    """Identity, access and the reading of requests, in that order."""

    def __init__(self, identity: OpenIdentity, access: OpenAccess) -> None:
        """Ask these who calls, and whether they may."""
        self._identity = identity
        self._access = access

    def identify(self, rpc: Rpc, context: Context) -> Call:
        """Tell who calls, and refuse who may not."""
        caller = self._identity.caller(context.invocation_metadata() or ())
        now = time.time_ns() // 1000
        method = rpc.method
        rpc.call = Call(caller.principal, caller.name, method.name, "", b"", now)
        if method.permission:
            self._access.check(rpc.call, method.permission)
        return rpc.call

    def read(self, rpc: Rpc, raw: bytes) -> tuple[Message, Call]:
        """Read and check a call's one request, in the thread where the method runs."""
        request = checked(rpc.method, raw)
        rpc.resource = rpc.method.resource(request)
        request_id: str = getattr(request, "request_id", "")
        if request_id:
            hashed = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
            call = rpc.call
            rpc.call = Call(
                call.principal, call.principal_name, call.method, request_id, hashed, call.time_us
            )
        return request, rpc.call


def checked(method: Method, raw: bytes) -> Message:
    """Read a message of a method's requests, and check it."""
    request = wire.read(method.request, raw)
    method.check(request)
    return request
