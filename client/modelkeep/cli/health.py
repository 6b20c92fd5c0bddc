"""`modelkeep health`: ask a server whether it serves, as a container's health check does."""

import math
import os
from typing import Annotated

import grpc
import typer

from modelkeep._address import Address, system_roots
from modelkeep.errors import Error

_SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}, without its package
_DEFAULT_URL = "127.0.0.1:50051"


def health(
    url: Annotated[
        str, typer.Option(help="Where the server is; by default MODELKEEP_URL, or 127.0.0.1:50051.")
    ] = "",
    timeout_seconds: Annotated[float, typer.Option(help="How long to wait for its answer.")] = 3,
) -> None:
    """Ask a server whether it serves: exit code 0 if it does, else 1."""
    if not 0 < timeout_seconds < math.inf:
        typer.echo("modelkeep health: --timeout-seconds must be more than 0", err=True)
        raise typer.Exit(2)
    try:
        address = Address.parse(url or os.environ.get("MODELKEEP_URL") or _DEFAULT_URL)
    except Error as problem:
        typer.echo(f"modelkeep health: {problem}", err=True)
        raise typer.Exit(2) from None
    try:
        answer = _check(address, timeout_seconds)
    except grpc.RpcError as problem:
        typer.echo(f"{address} does not serve: {_why(problem)}", err=True)
        raise typer.Exit(1) from None
    if answer != _SERVING:
        typer.echo(f"{address} does not serve: it is stopping", err=True)
        raise typer.Exit(1)
    typer.echo(f"{address} serves", err=True)


def _check(address: Address, seconds: float) -> bytes:
    channel = (
        grpc.secure_channel(address.target, grpc.ssl_channel_credentials(system_roots()))
        if address.tls
        else grpc.insecure_channel(address.target)
    )
    with channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/grpc.health.v1.Health/Check"
        )
        return call(b"", timeout=seconds)


def _why(problem: grpc.RpcError) -> str:
    return problem.details() if isinstance(problem, grpc.Call) else str(problem)
