"""What is not installed everywhere."""

from importlib.util import find_spec

import typer

_SERVER = ("modelkeep_server", "apsw", "grpc_health", "prometheus_client", "uvloop")
_AUDIT = ("cryptography",)


def need_server(command: str, exit_code: int = 1) -> None:
    """Say how to get the server's parts, where one is missing."""
    _need(command, "server", _SERVER, exit_code)


def need_audit(command: str, exit_code: int = 1) -> None:
    """Say how to get what checks signatures, where it is missing."""
    _need(command, "audit", _AUDIT, exit_code)


def _need(command: str, extra: str, parts: tuple[str, ...], exit_code: int) -> None:
    missing = [name for name in parts if find_spec(name) is None]
    if missing:
        typer.echo(
            f"{command}: {missing[0]} is not installed: pip install 'modelkeep[{extra}]'", err=True
        )
        raise typer.Exit(exit_code)
