"""What is not installed everywhere."""

from importlib.util import find_spec

import typer

_SERVER = ("modelkeep_server", "apsw", "grpc_health", "prometheus_client", "uvloop")


def need_server(command: str, exit_code: int = 1) -> None:
    """Say how to get the server's parts, where one is missing."""
    missing = [name for name in _SERVER if find_spec(name) is None]
    if missing:
        typer.echo(
            f"{command}: {missing[0]} is not installed: pip install 'modelkeep[server]'", err=True
        )
        raise typer.Exit(exit_code)
