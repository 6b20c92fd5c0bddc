"""Which methods are served: each rpc of each service, or the server doesn't start."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from modelkeep.v1 import options_pb2 as options
from modelkeep_server.edge import validate
from modelkeep_server.edge.calls import Kind, Method
from modelkeep_server.edge.formats import RESOURCES
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.values.hints import short_test
from modelkeep_server.values.start import StartError

Service = tuple[ServiceDescriptor, object]
"""A service of the contract, and the object whose methods are its rpcs."""


def resolve(
    services: Iterable[Service], metrics: Metrics, *, public: bool = False
) -> Iterator[Method]:
    """Find each rpc's method and permission; public services need no permission."""
    for descriptor, instance in services:
        for rpc in descriptor.methods:
            name = f"{descriptor.full_name}/{rpc.name}"
            function = getattr(instance, rpc.name, None)
            if function is None:
                raise StartError(f"{type(instance).__name__} has no method for the rpc {name}")
            permission = "" if public else _permission(rpc, name)
            yield Method(
                name=name,
                kind=_kind(rpc, function),
                permission=permission,
                request=GetMessageClass(rpc.input_type),
                function=function,
                check=validate.request(rpc.input_type),
                resource=_resource(rpc.input_type),
                metrics=metrics.of(name),
                on_loop=inspect.iscoroutinefunction(function),
                is_short=short_test(function),
            )


def _permission(rpc: MethodDescriptor, name: str) -> str:
    permission: str = rpc.GetOptions().Extensions[options.permission]
    if not permission:
        raise StartError(f"the rpc {name} declares no permission; see options.proto")
    return permission


def _kind(rpc: MethodDescriptor, function: Callable[..., object]) -> Kind:
    if not rpc.server_streaming:
        return Kind.UNARY
    if inspect.isasyncgenfunction(function):
        return Kind.TALK if rpc.client_streaming else Kind.WATCH
    return Kind.UPLOAD if rpc.client_streaming else Kind.DOWNLOAD


def _resource(descriptor: Descriptor) -> Callable[[Message], str]:
    """Read the first field that names a resource; in an update that is the resource's own."""
    path = next(_resource_paths(descriptor), "")
    return attrgetter(path) if path else lambda _: ""


def _resource_paths(descriptor: Descriptor) -> Iterator[str]:
    for field in descriptor.fields:
        rule = field.GetOptions().Extensions[options.rule]
        if rule.format in RESOURCES and not field.is_repeated:
            yield field.name
        if descriptor.name.startswith("Update") and field.message_type:
            for path in _resource_paths(field.message_type):
                yield f"{field.name}.{path}"
